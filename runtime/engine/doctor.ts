/**
 * `doctor`: what of this machine skiff needs, tried for real, a finding each with its remedy. Every check works
 * where others fail: nothing here throws.
 */

import { close } from "../../ffi/file.ts";
import { filesystemSizeOf } from "../../ffi/mount.ts";
import { SkiffError } from "../errors.ts";
import { mappedIdCount } from "../namespaces/id_map.ts";
import { outerContainer } from "../namespaces/restrictions.ts";
import { userName } from "../namespaces/subordinate_ids.ts";
import { findTunObstacle, TUN_DEVICE } from "../network/tun_device.ts";
import { readBootId } from "../state/boot.ts";
import { filesystemOf, findMaskedProc, readMountTable } from "../state/mount_table.ts";
import { Engine, type EngineOptions } from "./engine.ts";
import { UNMASK } from "./machine_notices.ts";
import { takeLaunch } from "../config/launch.ts";

/** `note` is for the reader; `degraded` works, with less than it could; with one that `fails` nothing runs. */
export type FindingStatus = "ok" | "note" | "degraded" | "fails";

export interface Finding {
  check: string;
  status: FindingStatus;
  detail: string;
  /** What an administrator or the user does about it; may have several lines. */
  remedy?: string;
}

type Result = Omit<Finding, "check">;

/** With less, most images cannot be pulled; the smallest containers still run. */
const LITTLE_BYTES = 100e6;

/** Made in this order; what needs an engine is skipped where there is none. */
const CHECKS: { name: string; run(engine: Engine): Result | Promise<Result> }[] = [
  { name: "runtime folder", run: checkRuntimeFolder },
  { name: "subordinate ids", run: checkSubordinateIds },
  { name: "user namespace", run: checkUserNamespace },
  { name: "storage driver", run: checkStorageDriver },
  { name: "/proc", run: checkProc },
  { name: "network", run: checkNetwork },
  { name: "fuse", run: checkFuse },
  { name: "seccomp", run: checkSeccomp },
  { name: "cgroups", run: checkCgroups },
  { name: "container", run: checkContainer },
];

/** All findings, in order. */
export async function doctor(options: EngineOptions = {}): Promise<Finding[]> {
  const findings: Finding[] = [
    { check: "program", ...checkProgram() },
    { check: "start", ...checkStart() },
    { check: "user", ...checkUser() },
  ];
  let engine: Engine;
  try {
    engine = new Engine(options);
    findings.push({ check: "data folder", ...await checkDataFolder(engine) });
  } catch (error) {
    findings.push({ check: "data folder", ...failure(error) });
    return findings;
  }
  for (const { name, run } of CHECKS) {
    // a container cannot run where one of its needs fails: that is told above
    if (name === "container" && findings.some(({ status }) => status === "fails")) continue;
    findings.push({ check: name, ...await Promise.resolve().then(() => run(engine)).catch(failure) });
  }
  engine[Symbol.dispose]();
  return findings;
}

/** For scripts: 0 all is well, 1 containers run with less than they could, 2 they do not run. */
export function doctorExitCode(findings: readonly Finding[]): 0 | 1 | 2 {
  if (findings.some(({ status }) => status === "fails")) return 2;
  return findings.some(({ status }) => status === "degraded") ? 1 : 0;
}

function failure(error: unknown): Result {
  const remedy = error instanceof SkiffError ? error.hint : undefined;
  return { status: "fails", detail: (error as Error).message, remedy };
}

function ok(detail: string): Result {
  return { status: "ok", detail };
}

function checkProgram(): Result {
  const { form, command } = takeLaunch();
  const kernel = `Linux ${Deno.osRelease()}`;
  const [major = 0, minor = 0] = Deno.osRelease().split(".").map(Number);
  const detail = `${command.at(-1)} (${form}), run by ${Deno.execPath()} on ${kernel}`;
  // mount_setattr(2), and overlay in a user namespace just before
  if (major > 5 || (major === 5 && minor >= 12)) return ok(detail);
  return { status: "fails", detail, remedy: "use Linux 5.12 or newer" };
}

/** @see runtime/frozen/freeze.ts */
function checkStart(): Result {
  const { form, isThawed } = takeLaunch();
  if (form !== "packed") return ok("the runtime boots for each command");
  if (isThawed) return ok("from a process that booted once and is kept in a file");
  const folder = Deno.execPath().replace(/\/[^/]*$/, "");
  let why = "";
  try {
    why = Deno.readTextFileSync(`${folder}/${readBootId()}/why`);
  } catch {
    // this is the first start, or it is being made
  }
  // deno-lint-ignore no-control-regex -- the runtime's colours
  why = why.replace(/\x1b\[\d+m/g, "");
  const reason = why.match(/freeze: .*/)?.[0] ?? why.trim().split("\n")[0];
  return ok(reason ? `the runtime boots for each command (${reason})` : "the runtime boots for this command");
}

function checkUser(): Result {
  const uid = Deno.uid() ?? -1;
  const outer = outerContainer();
  return ok(`${userName(uid)} (${uid})${outer === undefined ? "" : `, in a container (${outer})`}`);
}

async function checkDataFolder({ folders }: Engine): Promise<Result> {
  const { data, obstacle } = folders;
  const { type } = filesystemOf(data, readMountTable()) ?? {};
  const { openDatabase } = await import("../state/db.ts");
  (await openDatabase(folders.db))[Symbol.dispose]();
  const probe = `${folders.tmp}/doctor-${crypto.randomUUID()}`;
  Deno.writeTextFileSync(probe, "x");
  Deno.removeSync(probe);
  const { availableBytes } = filesystemSizeOf(data);
  if (availableBytes < LITTLE_BYTES) {
    return {
      status: "degraded",
      detail: `${data} (${type}), where ${Math.floor(availableBytes / 1e6)} MB are free`,
      remedy: "skiff system prune removes what nobody uses, and XDG_DATA_HOME names a folder elsewhere",
    };
  }
  if (obstacle === undefined) return ok(`${data} (${type})`);
  return {
    status: "degraded",
    detail: `${data} (${type}), as ${obstacle}`,
    remedy:
      "set XDG_DATA_HOME to a local folder of yours: what lies in /var/tmp for a month may be cleared away",
  };
}

function checkRuntimeFolder({ folders }: Engine): Result {
  const uid = Deno.uid();
  const user = userName(uid ?? -1);
  if (uid === 0 || !folders.run.startsWith(`/run/user/${uid}/`)) return ok(folders.run);
  if (isThere(`/var/lib/systemd/linger/${user}`)) return ok(`${folders.run}, kept when nobody is logged in`);
  return {
    status: "note",
    detail: `${folders.run} goes with your last session, and what is detached with it`,
    remedy: `loginctl enable-linger ${user}`,
  };
}

function checkSubordinateIds({ namespaces }: Engine): Result {
  const { isRootless, maps } = namespaces;
  if (!isRootless) return ok("not needed as root");
  if (maps.isSingle) {
    const detail = `${maps.reason}: containers have one id, and owners of files are pretended`;
    return { status: "degraded", detail, remedy: maps.remedy };
  }
  const [users, groups] = [mappedIdCount(maps.uid), mappedIdCount(maps.gid)];
  const detail = `containers have ${users} users and ${groups} groups`;
  if (Math.min(users, groups) > 65535) return ok(detail);
  return {
    status: "degraded",
    detail: `${detail}; images with higher ids cannot be unpacked`,
    remedy: `give the user 65536 ids in /etc/subuid and /etc/subgid (usermod --add-subuids, --add-subgids)`,
  };
}

/** A new one, even where that of the user's containers could be joined. */
async function checkUserNamespace({ namespaces, folders }: Engine): Promise<Result> {
  if (!namespaces.isRootless) return ok("not needed as root");
  const { forkInUserNamespace } = await import("../namespaces/fork_task.ts");
  const membersDir = `${folders.tmp}/doctor-${crypto.randomUUID()}`;
  try {
    await (await forkInUserNamespace({ ...namespaces, membersDir }, [], () => 0)).wait();
    return ok("can be made");
  } finally {
    await Deno.remove(membersDir, { recursive: true }).catch(() => {});
  }
}

async function checkStorageDriver(engine: Engine): Promise<Result> {
  const { chooseDriver } = await import("../storage/drivers/choose.ts");
  const { name } = await chooseDriver(engine, engine.storageDriver);
  if (name === "overlay" || engine.storageDriver !== undefined) return ok(name);
  const { explainDriver } = await import("../storage/drivers/explain.ts");
  const [detail, remedy] = (explainDriver(engine, name) ?? "").split("; ");
  return { status: "degraded", detail: `${name}: the kernel's overlay cannot be used ${detail}`, remedy };
}

function checkProc({ namespaces }: Engine): Result {
  const hidden = namespaces.isRootless ? findMaskedProc(readMountTable()) : undefined;
  if (hidden === undefined) return ok("nothing of it is hidden");
  const detail = `${hidden} is hidden, so containers see this /proc and with it the processes of others`;
  return { status: "degraded", detail, remedy: UNMASK };
}

/** Nothing fails without: a container to which no network was given by name then has none. */
function checkNetwork(): Result {
  const obstacle = findTunObstacle();
  if (!obstacle) return ok(`${TUN_DEVICE} can be opened`);
  return {
    status: "degraded",
    detail: `containers have no network: ${obstacle.reason}`,
    remedy: obstacle.remedy,
  };
}

/** Only mounts with other owners (idmap), rootless, and images that are fetched as they are read need it. */
async function checkFuse(): Promise<Result> {
  const { openFuse } = await import("../fuse/mount.ts");
  try {
    close(openFuse());
    return ok("/dev/fuse can be opened");
  } catch (error) {
    const { message, hint } = error as SkiffError;
    return { status: "note", detail: `no run --lazy, and no :idmap without root: ${message}`, remedy: hint };
  }
}

function checkSeccomp(): Result {
  const path = "/proc/sys/kernel/seccomp/actions_avail";
  if (isThere(path)) return ok("filters can be set");
  return { status: "fails", detail: "this kernel has no seccomp filters", remedy: "CONFIG_SECCOMP_FILTER=y" };
}

/** Nothing fails without them: containers then run without limits. @see cgroups(7), delegation */
function checkCgroups({ namespaces }: Engine): Result {
  if (!isThere("/sys/fs/cgroup/cgroup.controllers")) {
    const remedy = "boot with systemd.unified_cgroup_hierarchy=1";
    return { status: "note", detail: "version 1: containers share the caller's cgroup", remedy };
  }
  const own = /^0::(.*)$/m.exec(Deno.readTextFileSync("/proc/self/cgroup"))?.[1] ?? "/";
  const controllers = Deno.readTextFileSync(`/sys/fs/cgroup${own}/cgroup.controllers`).trim();
  const isOurs = !namespaces.isRootless ||
    Deno.statSync(`/sys/fs/cgroup${own}/cgroup.procs`).uid === namespaces.uid;
  if (isOurs && controllers !== "") return ok(`version 2, delegated: ${controllers}`);
  return {
    status: "note",
    detail: "version 2, not delegated to this session",
    remedy: "start it below systemd --user: systemd-run --user --scope -p Delegate=yes skiff …",
  };
}

/** The whole way, by this very program. */
async function checkContainer(): Promise<Result> {
  const { command: [program, ...words] } = takeLaunch();
  const args = [...words, "run", "--rm", "--network", "none", "host", "true"];
  const started = performance.now();
  const { code, stderr } = await new Deno.Command(program!, { args, stdin: "null", stdout: "null" }).output();
  if (code === 0) return ok(`runs, in ${Math.round(performance.now() - started)} ms`);
  const [first = "", ...more] = new TextDecoder().decode(stderr).replace(/^Warning: .*\n/gm, "").trim().split(
    "\n",
  );
  return { status: "fails", detail: first.replace(/^Error: /, ""), remedy: more.join("\n") || undefined };
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

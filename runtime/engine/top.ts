/** `top`: the processes of a running container. @see podman-top(1) */

import { AT_EMPTY_PATH, O_CLOEXEC, O_PATH, RESOLVE_IN_ROOT } from "../../ffi/constants/fcntl.ts";
import { Fd, open, openat2, statx } from "../../ffi/file.ts";
import { readLastCapability } from "../container/host_facts.ts";
import { insideId, type ProcessFacts, readProcess } from "../container/process_facts.ts";
import { listProcesses } from "../container/process_tree.ts";
import { InvalidArgumentError } from "../errors.ts";
import { parseIdMap } from "../namespaces/id_map.ts";
import { capabilitiesOfMask } from "../security/capabilities.ts";
import { ACCOUNT_FILE_LIMIT_BYTES } from "../spec/passwd.ts";
import type { IdMapping } from "../spec/runtime.ts";
import { observeRunning } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { execPrograms } from "./exec_sessions.ts";

export interface ProcessTable {
  /** Headings. */
  titles: string[];
  /** A line a process, as many texts as there are titles. */
  processes: string[][];
}

/** What podman shows where nothing is asked for. */
export const TOP_DEFAULTS = ["user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args"];

/** @throws {InvalidArgumentError} where a descriptor is unknown */
export async function top(engine: Engine, text: string, descriptors = TOP_DEFAULTS): Promise<ProcessTable> {
  const fields = descriptors.flatMap((word) => word.split(",")).map((name) => {
    const field = FIELDS[AIX[name] ?? name];
    if (!field) throw new InvalidArgumentError(`unknown descriptor "${name}"`);
    return field;
  });
  const { row, status } = await observeRunning(engine, text, "list processes of", { paused: true });
  const pids = listProcesses(status.pid, execPrograms(engine.containerDir(row.id)));
  const view = viewOf(status.pid);
  const found = pids.flatMap(({ pid }) => readProcess(pid, view.depth) ?? []);
  for (const process of found) view.pids.set(process.hostPid, process.pid);
  return {
    titles: fields.map(([title]) => title),
    processes: found.map((process) => fields.map(([, show]) => show(process, view))),
  };
}

/** The host's pids of all processes, init first. */
export async function hostPids(engine: Engine, text: string): Promise<number[]> {
  const { row, status } = await observeRunning(engine, text, "list processes of", { paused: true });
  return listProcesses(status.pid, execPrograms(engine.containerDir(row.id))).map(({ pid }) => pid);
}

/** Whether all these are podman's descriptors and not options of ps(1). */
export function areDescriptors(words: readonly string[]): boolean {
  return words.every((word) => word.split(",").every((name) => (AIX[name] ?? name) in FIELDS));
}

interface View {
  /** Pid namespaces above the container's. */
  depth: number;
  uids: IdMapping[];
  gids: IdMapping[];
  users: Map<number, string>;
  groups: Map<number, string>;
  hostUsers: Map<number, string>;
  hostGroups: Map<number, string>;
  /** Host to container. */
  pids: Map<number, number>;
  lastCapability: number;
}

function viewOf(initPid: number): View {
  const proc = `/proc/${initPid}`;
  const numbers = /^NSpid:\s*(.*)$/m.exec(Deno.readTextFileSync(`${proc}/status`))?.[1]?.split(/\s+/) ?? [];
  return {
    depth: Math.max(0, numbers.length - 1),
    uids: parseIdMap(Deno.readTextFileSync(`${proc}/uid_map`)),
    gids: parseIdMap(Deno.readTextFileSync(`${proc}/gid_map`)),
    users: namesOf(readInRoot(initPid, "etc/passwd")),
    groups: namesOf(readInRoot(initPid, "etc/group")),
    hostUsers: namesOf(readHostFile("/etc/passwd")),
    hostGroups: namesOf(readHostFile("/etc/group")),
    pids: new Map(),
    lastCapability: readLastCapability(),
  };
}

/** `name:x:id:…`, a line each. */
function namesOf(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split("\n")) {
    const [name = "", , id = ""] = line.split(":");
    if (/^\d+$/.test(id) && !names.has(Number(id))) names.set(Number(id), name);
  }
  return names;
}

/** A regular file of the container: links stay within its root, and nothing else than a file is opened. */
function readInRoot(pid: number, path: string): string {
  try {
    using root = new Fd(open(`/proc/${pid}/root`, O_PATH | O_CLOEXEC));
    using file = new Fd(openat2(root.number, path, O_PATH | O_CLOEXEC, RESOLVE_IN_ROOT));
    const { mode, size } = statx(file.number, "", AT_EMPTY_PATH);
    if ((mode & 0o170000) !== 0o100000 || size > ACCOUNT_FILE_LIMIT_BYTES) return "";
    return Deno.readTextFileSync(`/proc/self/fd/${file.number}`);
  } catch {
    return ""; // there is none, or it is not ours to read: numbers are shown
  }
}

function readHostFile(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

type Field = readonly [title: string, show: (process: ProcessFacts, view: View) => string];

const named = (names: Map<number, string>, id: number) => names.get(id) ?? String(id);
const user = (view: View, id: number) => named(view.users, insideId(view.uids, id) ?? id);
const group = (view: View, id: number) => named(view.groups, insideId(view.gids, id) ?? id);
const caps = (key: keyof ProcessFacts["capabilities"]): Field[1] => (process, { lastCapability }) =>
  capabilityText(BigInt(`0x${process.capabilities[key] || "0"}`), lastCapability);

const FIELDS: Record<string, Field> = {
  args: ["COMMAND", ({ args }) => args],
  capamb: ["AMBIENT CAPS", caps("CapAmb")],
  capbnd: ["BOUNDING CAPS", caps("CapBnd")],
  capeff: ["EFFECTIVE CAPS", caps("CapEff")],
  capinh: ["INHERITED CAPS", caps("CapInh")],
  capprm: ["PERMITTED CAPS", caps("CapPrm")],
  comm: ["COMMAND", ({ command }) => command],
  etime: ["ELAPSED", ({ elapsedSeconds }) => goDuration(elapsedSeconds)],
  group: ["GROUP", ({ hostGids }, view) => group(view, hostGids[1])],
  groups: ["GROUPS", (process, view) => process.supplementaryGids.map((id) => group(view, id)).join(",")],
  hgroup: ["HGROUP", ({ hostGids }, view) => named(view.hostGroups, hostGids[1])],
  hgroups: [
    "HGROUPS",
    (one, view) => one.supplementaryGids.map((id) => named(view.hostGroups, id)).join(","),
  ],
  hpid: ["HPID", ({ hostPid }) => String(hostPid)],
  huser: ["HUSER", ({ hostUids }, view) => named(view.hostUsers, hostUids[1])],
  label: ["LABEL", ({ label }) => label || "?"],
  nice: ["NI", ({ nice }) => String(nice)],
  pcpu: [
    "%CPU",
    (one) => (one.elapsedSeconds > 0 ? 100 * one.cpuSeconds / one.elapsedSeconds : 0).toFixed(3),
  ],
  pgid: ["PGID", ({ group }) => String(group)],
  pid: ["PID", ({ pid }) => String(pid)],
  // a parent outside, of init or of an exec session, has no number inside
  ppid: ["PPID", ({ parent }, { pids }) => String(pids.get(parent) ?? 0)],
  rgroup: ["RGROUP", ({ hostGids }, view) => group(view, hostGids[0])],
  rss: ["RSS", ({ rssKiB }) => String(rssKiB)],
  ruser: ["RUSER", ({ hostUids }, view) => user(view, hostUids[0])],
  seccomp: ["SECCOMP", ({ seccomp }) => ["disabled", "strict", "filter"][seccomp] ?? "?"],
  state: ["STATE", ({ state }) => state],
  stime: [
    "STIME",
    ({ startedMs }) => `${new Date(startedMs).toISOString().slice(0, 19).replace("T", " ")} +0000 UTC`,
  ],
  time: ["TIME", ({ cpuSeconds }) => goDuration(cpuSeconds)],
  tty: ["TTY", ({ tty }) => tty],
  user: ["USER", ({ hostUids }, view) => user(view, hostUids[1])],
  vsz: ["VSZ", ({ vszKiB }) => String(vszKiB)],
};

/** @see ps(1), AIX FORMAT DESCRIPTORS */
const AIX: Record<string, string> = {
  "%C": "pcpu",
  "%G": "group",
  "%P": "ppid",
  "%U": "user",
  "%a": "args",
  "%c": "comm",
  "%g": "rgroup",
  "%n": "nice",
  "%p": "pid",
  "%r": "pgid",
  "%t": "etime",
  "%u": "ruser",
  "%x": "time",
  "%y": "tty",
  "%z": "vsz",
};

/** `full`, `none`, or names without CAP_. */
function capabilityText(mask: bigint, lastCapability: number): string {
  if (mask === 0n) return "none";
  if (mask === (1n << BigInt(lastCapability + 1)) - 1n) return "full";
  return capabilitiesOfMask(mask).map((name) => name.replace(/^CAP_/, "")).join(",");
}

/** `1h2m12.497061672s`, as Go writes a duration. */
export function goDuration(seconds: number): string {
  const whole = Math.floor(seconds);
  const rest = Number((seconds % 60).toFixed(9));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  if (seconds < 1 && seconds > 0) return `${Number((seconds * 1000).toFixed(6))}ms`;
  return `${hours > 0 ? `${hours}h` : ""}${whole >= 60 ? `${minutes}m` : ""}${rest}s`;
}

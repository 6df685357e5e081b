/**
 * Devices by their CDI names: what their specifications ask for is put into the plan of each start, as podman does, so
 * that a driver's update is in effect from the next start on.
 *
 * Device nodes are bound from this machine, as those of `--device`: owner and mode stay its own.
 *
 * @see podman-run(1), --device; CDI SPEC.md, containerEdits
 */

import { findContainersConf } from "../config/containers_conf_files.ts";
import { CDI_FOLDERS, editsOf, readCdiDevices } from "../config/cdi_specs.ts";
import type { ContainerConfig } from "../container/config.ts";
import { refuseHalfAccess } from "../container/device_options.ts";
import { cleanPath } from "../container/mount_options.ts";
import { CannotInvokeError, hostReason, SkiffError, UnsupportedError } from "../errors.ts";
import type { MonitorPlan } from "../monitor/plan.ts";
import type { CdiEdits } from "../spec/cdi.ts";
import type { HookSpec, MountSpec, RuntimeSpec } from "../spec/runtime.ts";
import type { Engine } from "./engine.ts";

type DeviceNode = NonNullable<CdiEdits["deviceNodes"]>[number];
type Mount = NonNullable<CdiEdits["mounts"]>[number];

/** @throws {CannotInvokeError} for names that no specification has */
export async function injectDevices(
  engine: Engine,
  { cdiDevices = [], keepGroups }: ContainerConfig,
  plan: MonitorPlan,
): Promise<void> {
  const found = await readCdiDevices(await cdiFolders());
  const missing = cdiDevices.filter((name) => !found.byName.has(name));
  if (missing.length > 0) {
    throw new CannotInvokeError(`setting up CDI devices: unresolvable CDI devices ${missing.join(", ")}`, {
      hint: found.problems.length > 0 ? found.problems.join("; ") : undefined,
    });
  }
  const edits = editsOf(found, cdiDevices);
  const { spec, annex } = plan.init;
  if (edits.intelRdt) refuse("intelRdt: the cache of a processor is not shared out");
  for (const node of edits.deviceNodes ?? []) {
    const device = findDevice(engine, node);
    const { destination } = device;
    annex.devices = [...annex.devices.filter((one) => one.destination !== destination), device];
  }
  addVariables(spec, edits.env ?? []);
  addMounts(spec, (edits.mounts ?? []).map((mount) => toMountSpec(mount, engine.namespaces.isRootless)));
  const groups = (edits.additionalGids ?? []).filter((gid) => gid !== 0).map(String);
  if (!keepGroups) annex.groupAdd = [...annex.groupAdd, ...groups];
  if (edits.hooks?.length) addHooks(plan, edits.hooks);
}

/** Where specifications are. */
export async function cdiFolders(): Promise<readonly string[]> {
  const files = findContainersConf();
  if (files.length === 0) return CDI_FOLDERS;
  const { readContainersConf } = await import("../config/containers_conf.ts");
  return readContainersConf(files).engine.cdi_spec_dirs as string[] | undefined ?? CDI_FOLDERS;
}

function findDevice({ namespaces }: Engine, node: DeviceNode): { source: string; destination: string } {
  const { path, hostPath = path, type, permissions = "rwm" } = node;
  let source: string;
  try {
    source = Deno.realPathSync(hostPath || path);
  } catch (cause) {
    throw failed(`failed to stat CDI host device "${hostPath || path}": ${hostReason(cause)}`, cause);
  }
  const info = Deno.statSync(source);
  const real = info.isCharDevice ? "c" : info.isBlockDevice ? "b" : info.isFifo ? "p" : "";
  const asked = type === "u" ? "c" : type;
  if (real === "") throw failed(`"${source}" is not a device node`);
  if (asked && asked !== real) {
    throw failed(`CDI device ("${path}", "${source}"), host type mismatch (${asked}, ${real})`);
  }
  if (!namespaces.isRootless && real !== "p") refuseHalfAccess(source, permissions);
  const destination = cleanPath(path);
  if (destination === "/dev" || /^\/($|(proc|sys)(\/|$))/.test(destination) || !path.startsWith("/")) {
    throw failed(`place device "${path}": nothing can be put there`);
  }
  return { source, destination };
}

function addVariables({ process }: RuntimeSpec, words: readonly string[]): void {
  for (const word of words) {
    const name = word.slice(0, word.indexOf("=") + 1);
    process.env = [...process.env.filter((one) => !one.startsWith(name)), word];
  }
}

/** Parents first, and in place of what is at the same path. */
function addMounts(spec: RuntimeSpec, mounts: readonly MountSpec[]): void {
  for (const mount of mounts) {
    spec.mounts = [...spec.mounts.filter(({ destination }) => destination !== mount.destination), mount];
  }
  const depth = ({ destination }: MountSpec) => destination.split("/").length;
  spec.mounts.sort((a, b) => depth(a) - depth(b));
}

function toMountSpec(
  { hostPath, containerPath, options = [], type = "" }: Mount,
  isRootless: boolean,
): MountSpec {
  if (!containerPath.startsWith("/")) throw failed(`mount to "${containerPath}": the path is not absolute`);
  const destination = cleanPath(containerPath);
  if (type === "tmpfs") return { destination, type, source: type, options: [...options] };
  if (!["", "none", "bind"].includes(type)) {
    refuse(`a mount of type "${type}": only bind and tmpfs are made`);
  }
  const lacks = (...words: string[]) => !options.some((word) => words.includes(word));
  return {
    destination,
    type: "bind",
    source: hostPath,
    options: [
      ...(lacks("bind", "rbind") ? ["rbind"] : []),
      // the flags of the host's mount may be locked
      ...options.filter((word) => !["rw", "dev", "suid", "exec"].includes(word)),
      ...(options.some((word) => /^r?(private|shared|slave|unbindable)$/.test(word)) ? [] : ["rprivate"]),
      ...(!isRootless && lacks("nodev") ? ["nodev"] : []),
    ],
  };
}

/** What hooks know of the container is in `bundle`, as a runtime's own folder would have it. */
function addHooks(plan: MonitorPlan, hooks: NonNullable<CdiEdits["hooks"]>): void {
  const { spec, annex } = plan.init;
  spec.hooks = {};
  for (const { hookName, ...hook } of hooks) {
    (spec.hooks[hookName] ??= []).push(hook satisfies HookSpec);
  }
  annex.bundle = { id: plan.id, folder: `${plan.containerDir}/bundle` };
  // hooks of the monitor are processes of the host's pid namespace
  annex.monitorForksAgain = true;
  Deno.mkdirSync(annex.bundle.folder, { recursive: true, mode: 0o700 });
  const path = `${annex.bundle.folder}/config.json`;
  Deno.writeTextFileSync(`${path}.new`, JSON.stringify(spec), { mode: 0o600 });
  Deno.renameSync(`${path}.new`, path);
}

function refuse(what: string): never {
  throw new UnsupportedError(`setting up CDI devices: ${what}`);
}

function failed(cause: string, error?: unknown): SkiffError {
  return new CannotInvokeError(`setting up CDI devices: failed to inject devices: ${cause}`, {
    cause: error,
  });
}

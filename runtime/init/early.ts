/**
 * What init does before its plan is there: nearly every container has the same namespaces, kernel file systems and
 * devices, so they are made while the command still loads and plans. What the plan has no use for is closed with
 * everything else when the root changes.
 */

import { close, closeAllExcept } from "../../ffi/file.ts";
import { unshare } from "../../ffi/namespaces.ts";
import { type OwnStatus, ownStatus } from "../../ffi/own_status.ts";
import { prctl, setProcessName, setsid } from "../../ffi/process.ts";
import { resetSignalDispositions, setSignalMask } from "../../ffi/signal.ts";
import { PR_SET_DUMPABLE } from "../../ffi/constants/prctl.ts";
import { CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWUTS } from "../../ffi/constants/sched.ts";
import type { MonitorPlan } from "../monitor/plan.ts";
import type { TunPlan } from "../network/plan.ts";
import type { MountSpec } from "../spec/runtime.ts";
import { openNullMask, type PreparedDevice, prepareDevices } from "./devices.ts";
import { allowPing, bringLoopbackUp } from "./loopback.ts";
import { type PreparedMount, prepareMounts } from "./mounts.ts";
import { prepareCovers, type PreparedCovers } from "./protect.ts";
import { openTun } from "../network/tun.ts";

/** What is ready when the plan comes. */
export interface EarlyWork {
  status: OwnStatus;
  /** By their specs' JSON: a mount is used where the plan has exactly this one. */
  mounts: Map<string, PreparedMount>;
  devices: PreparedDevice[];
  covers?: PreparedCovers;
  /** The network interface that is made already, and is the monitor's. */
  tun?: number;
}

const ORDINARY_NAMESPACES = "cgroup ipc mount network pid uts";

/**
 * Whether the plan asks for the namespaces and the network interface that early work makes; no server of a file
 * system must be born among them.
 */
export function isOrdinary(
  { init: { spec, annex }, rootfs, mountRoots = [], idMapped, passedFds }: MonitorPlan,
  tun: TunPlan | undefined,
): boolean {
  const { namespaces } = spec.linux;
  return !passedFds && idMapped === undefined && !annex.monitorForksAgain &&
    annex.nestedUserns === undefined &&
    annex.sharedMemoryOf === undefined &&
    annex.join.length === 0 &&
    JSON.stringify(annex.tun) === JSON.stringify(tun) &&
    namespaces.every(({ path }) => path === undefined) &&
    namespaces.map(({ type }) => type).sort().join(" ") === ORDINARY_NAMESPACES &&
    spec.process.oomScoreAdj === undefined && spec.process.apparmorProfile === undefined &&
    [rootfs, ...mountRoots].every(({ kind }) => kind !== "fuse-overlayfs");
}

/** Leaves the monitor's session, signals and descriptors behind, but for `kept`. */
export function becomeInit(kept: readonly number[]): OwnStatus {
  setProcessName("skiff: init");
  closeAllExcept(kept);
  setSignalMask([]);
  const status = ownStatus();
  resetSignalDispositions(status.ignoredSignals);
  setsid();
  return status;
}

/** To be called in a new pid namespace; the mount namespace is still the monitor's. */
export function workEarly(
  control: number,
  mounts: readonly MountSpec[],
  tun: TunPlan | undefined,
): EarlyWork {
  const status = becomeInit([control]);
  prctl(PR_SET_DUMPABLE, 0);
  unshare(CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP);
  bringLoopbackUp();
  allowPing();
  const [interfaceFd] = tryPrepare(() => tun ? [openTun(tun)] : []);
  const prepared = new Map<string, PreparedMount>();
  for (const spec of mounts) {
    const [mount] = tryPrepare(() => prepareMounts([spec]));
    if (mount !== undefined) prepared.set(JSON.stringify(spec), mount);
  }
  const [covers] = tryPrepare(() => [prepareCovers(openNullMask())]);
  const devices = tryPrepare(() => prepareDevices([]));
  return { status, mounts: prepared, devices, covers, tun: interfaceFd };
}

/** What cannot be prepared now is tried again when it is known to be needed, and told then. */
function tryPrepare<T>(prepare: () => T[]): T[] {
  try {
    return prepare();
  } catch {
    return [];
  }
}

/** The mounts of the plan: those that are ready, and the others made now. */
export function takeMounts(specs: readonly MountSpec[], early: EarlyWork): PreparedMount[] {
  return specs.flatMap((spec) => {
    const key = JSON.stringify(spec);
    const ready = early.mounts.get(key);
    early.mounts.delete(key);
    return ready === undefined ? prepareMounts([spec]) : [ready];
  });
}

/** The devices of the plan; `extra` are those beyond the usual. */
export function takeDevices(
  extra: readonly { source: string; destination: string }[],
  early: EarlyWork,
): PreparedDevice[] {
  if (early.devices.length === 0) return prepareDevices(extra);
  if (extra.length === 0) return early.devices;
  for (const { fd } of early.devices) close(fd);
  return prepareDevices(extra);
}

/**
 * A monitor forked ahead of its plan: before the command has loaded and opened what it plans with, none of
 * which the monitor will ever use. So it stays small, and the fork itself is off the path of the start.
 *
 * ```
 *  command                                   seed                                init
 *    namespace context, mounts that
 *    the plan will likely have: fork ──────▶   enters the user's namespace,
 *    loads, parses, pulls, plans               makes a pid namespace, forks ──▶  makes its namespaces,
 *                                                                                prepares mounts, waits
 *    JSON of the plan, descriptors ────────▶   becomes the monitor ───────────▶  goes on
 *    or ends without a word ───────────────▶   ends as well ──────────────────▶  ends as well
 * ```
 *
 * Where the context is not known before the fork, the seed waits for that first.
 */

import { EPIPE, isErrno } from "../../ffi/errno.ts";
import { close, closeAllExcept } from "../../ffi/file.ts";
import { _exit, setProcessName, umask } from "../../ffi/process.ts";
import { receiveWithFds, sendWithFds } from "../../ffi/socket.ts";
import { isOrdinary } from "../init/early.ts";
import { type EarlyInit, forkEarlyInit } from "../init/spawn.ts";
import type { NamespaceContext } from "../namespaces/context.ts";
import {
  awaitUserNamespace,
  type ChildEnds,
  descriptorsOf,
  enterUserNamespaceBlocking,
  forkOver,
  leaveUserNamespace,
  type Membership,
  type NamespaceChannel,
  openNamespaceChannel,
} from "../namespaces/user_namespace.ts";
import { areScripts, prepareNetworkCode } from "../network/lazy_code.ts";
import type { TunPlan } from "../network/plan.ts";
import { unshareMountNamespace } from "../rootfs/perform.ts";
import type { MountSpec } from "../spec/runtime.ts";
import { hasSupervision, loadSupervision, type MonitorFds, runMonitor } from "./monitor.ts";
import { forkWaiting, receiveJson, sendJson } from "./handover.ts";
import { prepareMonitorCode } from "./lazy_code.ts";
import type { MonitorPlan } from "./plan.ts";

/** What a seed can do before its plan is there. Survives JSON. */
export interface Soil {
  context: NamespaceContext;
  /** Those that the plan will most likely have; undefined where it is likely to ask for unusual namespaces. */
  mounts?: MountSpec[];
  /** The network interface that it will most likely have. */
  tun?: TunPlan;
}

interface Seed {
  pid: number;
  /** It can look after a container (see supervision.ts). */
  isSupervisor: boolean;
  socket: number;
  /** From when it has its soil: resolves when it is in the user's namespace. */
  entered?: Promise<void>;
  /** It has an init already. */
  isOrdinary: boolean;
  /** With this interface. */
  tun?: TunPlan;
}

/** A monitor on its way. */
export interface GrownSeed {
  pid: number;
  /** Resolves when it is in the user's namespace; to be awaited. */
  entered: Promise<void>;
}

const SOIL_DESCRIPTORS = 1;
const PLAN_DESCRIPTORS = 3;
/** So many go in one message. @see unix(7), SCM_MAX_FD */
const MESSAGE_DESCRIPTORS = 250;

let planted: Seed | undefined;

/** Takes a plan away from the seed that it is for. */
type PlanTaker = (plan: MonitorPlan) => never;
let planTaker: PlanTaker | undefined;

/** In a rehearsal plans go to `taker`, until there is none. @see rehearse.ts */
export function takePlans(taker: PlanTaker | undefined): void {
  planTaker = taker;
}

/** Forks a seed for the next monitor, which with `soil` works ahead; one at a time. */
export function plantSeed(soil?: Soil): void {
  planted ??= forkSeed(soil);
}

/** What a seed may have to load and cannot, where the command has planted none ahead. */
export async function prepareCode(): Promise<void> {
  if (areScripts || planted) return;
  await prepareNetworkCode();
  await prepareMonitorCode();
}

/**
 * For a monitor with `supervision`: its code is loaded now, and a seed that was planted without it let go (it ends when
 * its socket does).
 */
export async function prepareSupervision(): Promise<void> {
  if (planted?.isSupervisor) return;
  if (planted) close(planted.socket);
  planted = undefined;
  await loadSupervision();
}

/**
 * Makes the seed the monitor of `plan`, or a new one where none is planted, it has died, or it worked ahead for
 * another kind of plan.
 *
 * `fds` stay the caller's to close.
 *
 * @throws {SyscallError} EAGAIN where the user's process limit is reached
 */
export function growSeed(plan: MonitorPlan, context: NamespaceContext, fds: MonitorFds): GrownSeed {
  planTaker?.(plan);
  const early = planted;
  planted = undefined;
  if (early?.isOrdinary && !isOrdinary(plan, early.tun)) close(early.socket);
  else if (early) {
    try {
      return handOver(early, context, plan, fds);
    } catch (error) {
      // A signal to the command's process group may have met the seed before.
      if (!isErrno(error, EPIPE)) throw error;
    }
  }
  return handOver(forkSeed(), context, plan, fds);
}

function forkSeed(soil?: Soil): Seed {
  const isSupervisor = hasSupervision();
  if (!soil) {
    return { ...forkWaiting((socket) => waitForPlanBlocking(socket)), isSupervisor, isOrdinary: false };
  }
  const channel = openNamespaceChannel(soil.context);
  const forked = forkOver(
    channel,
    () => forkWaiting((socket) => waitForPlanBlocking(socket, { soil, channel })),
  );
  const isOrdinary = soil.mounts !== undefined;
  return { ...forked, isSupervisor, isOrdinary, tun: soil.tun, entered: follow(channel) };
}

/** Lets a seed that waits for its soil enter the user's namespace. */
function water(seed: Seed, soil: Soil): void {
  const channel = openNamespaceChannel();
  try {
    sendJson(seed.socket, soil, [channel.child]);
  } catch (error) {
    // It has died. That is seen when it is to have its plan.
    if (!isErrno(error, EPIPE)) throw error;
  }
  seed.entered = follow(channel);
}

function follow(channel: NamespaceChannel): Promise<void> {
  const entered = awaitUserNamespace(channel);
  // told to whoever grows the seed
  entered.catch(() => {});
  return entered;
}

function handOver(seed: Seed, context: NamespaceContext, plan: MonitorPlan, fds: MonitorFds): GrownSeed {
  if (!seed.entered) water(seed, { context });
  try {
    sendJson(seed.socket, plan, [fds.listen, fds.lock, fds.ready]);
    if (plan.passedFds) sendWithFds(seed.socket, new Uint8Array(1), plan.passedFds);
    for (let at = 0; at < (fds.ports?.length ?? 0); at += MESSAGE_DESCRIPTORS) {
      sendWithFds(seed.socket, new Uint8Array(1), fds.ports!.slice(at, at + MESSAGE_DESCRIPTORS));
    }
  } finally {
    close(seed.socket);
  }
  return { pid: seed.pid, entered: seed.entered! };
}

/** What a seed is planted with: without it waits for its soil. */
export interface PlantedSoil {
  soil: Soil;
  channel: ChildEnds;
}

/** The forked child: ends with the command, or never returns from being a monitor. */
export function waitForPlanBlocking(socket: number, early?: PlantedSoil): number {
  closeAllExcept([socket, ...early ? descriptorsOf(early.channel) : []]);
  setProcessName("skiff: seed");
  // Mount points that are made in the root must let everybody through, whatever the caller's umask.
  umask(0o022);
  const { soil: { context, mounts, tun }, channel } = early ?? receiveSoil(socket) ?? _exit(0);
  let membership: Membership | undefined;
  let init: EarlyInit | undefined;
  try {
    membership = enterUserNamespaceBlocking(context, channel);
    unshareMountNamespace();
    if (mounts) init = forkEarlyInit(mounts, tun);
  } catch {
    // The command has been told why there is no namespace; for anything else it sees that we are gone.
    leaveUserNamespace(membership);
    _exit(125);
  }
  const handover = receiveJson<MonitorPlan>(socket, PLAN_DESCRIPTORS);
  const count = handover?.value.passedFds?.length;
  const passed = count ? receiveWithFds(socket, new Uint8Array(1), count).fds : undefined;
  const ports = receivePorts(socket, handover?.value.ports?.length ?? 0);
  close(socket);
  if (!handover) {
    leaveUserNamespace(membership);
    _exit(0);
  }
  const [listen, lock, ready] = handover.fds;
  runMonitor(
    handover.value,
    { membership, init, isPrivileged: !context.isRootless },
    { listen: listen!, lock: lock!, ready: ready!, passed, ports },
  );
}

function receiveSoil(socket: number): PlantedSoil | undefined {
  const received = receiveJson<Soil>(socket, SOIL_DESCRIPTORS);
  return received && { soil: received.value, channel: { child: received.fds[0]! } };
}

/** Fewer than `count` where the command has ended meanwhile. */
function receivePorts(socket: number, count: number): number[] {
  const ports: number[] = [];
  while (ports.length < count) {
    const { length, fds } = receiveWithFds(socket, new Uint8Array(1), MESSAGE_DESCRIPTORS);
    if (length === 0) break;
    ports.push(...fds);
  }
  return ports;
}

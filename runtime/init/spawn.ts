/**
 * The monitor's side of a container's start: forks init and talks with it.
 *
 * Synchronous, for the monitor. Nothing here waits but `receiveInitMessage`, which is to be called when
 * `control` is readable.
 */

import { EPIPE, isErrno } from "../../ffi/errno.ts";
import { close, Fd, open, pipe2, read, writeAll } from "../../ffi/file.ts";
import { forkChild } from "../../ffi/fork.ts";
import { setns, unshare } from "../../ffi/namespaces.ts";
import { getpid, kill, pidfd_open, prctl, waitpidBlocking } from "../../ffi/process.ts";
import { O_CLOEXEC, O_RDONLY, O_WRONLY } from "../../ffi/constants/fcntl.ts";
import { PR_SET_CHILD_SUBREAPER } from "../../ffi/constants/prctl.ts";
import { CLONE_NEWPID, CLONE_NEWUSER } from "../../ffi/constants/sched.ts";
import { SIGKILL } from "../../ffi/constants/signal.ts";
import type { InitPlan } from "../monitor/plan.ts";
import { formatIdMap, parseIdMap, splitIdMap } from "../namespaces/id_map.ts";
import type { TunPlan } from "../network/plan.ts";
import type { IdMapping, MountSpec } from "../spec/runtime.ts";
import { SkiffError } from "../errors.ts";
import {
  answerInit,
  describeSetupFailure,
  type InitMessage,
  isLastWord,
  MonitorLink,
  openControl,
  receiveFromInit,
  sendPlan,
} from "./handshake.ts";
import type { PassedFd } from "./execute.ts";
import { openJoinedNamespaces, runEarlyInit, runInit } from "./init.ts";
import type { InitStdio } from "./stdio.ts";

/** A container's init, on its way or running. */
export interface InitHandle {
  pid: number;
  pidfd: number;
  /** Readable when init has said something; closed by `receiveInitMessage` after its last word. */
  control: number;
  plan: InitPlan;
  /** What it said before its pid was known; readable as long as it has more to say. */
  heard?: InitEvent[];
}

/** An init that waits for its plan. */
export type EarlyInit = Omit<InitHandle, "plan">;

export interface SpawnInitOptions {
  /** Where the root filesystem is mounted in this mount namespace. */
  rootTarget: string;
  /** Passed to init, and still the caller's to close. */
  stdio: InitStdio;
  isPrivileged: boolean;
  windowSize?: { rows: number; cols: number };
  /** Also for the program; still the caller's to close. */
  passed?: readonly PassedFd[];
}

/**
 * Forks init into a new pid namespace (or the one the plan joins) and returns when its pid is known.
 *
 * Without `monitorForksAgain` to be called once a monitor: afterwards every child of this process is born in that pid
 * namespace.
 */
export function spawnInit(plan: InitPlan, options: SpawnInitOptions): InitHandle {
  const [control, initControl] = openControl();
  const monitorPid = getpid();
  const init = () => runInit({ plan, control: initControl, monitorPid, ...options });
  const heard: InitEvent[] = [];
  const pid = plan.annex.nestedUserns || plan.annex.monitorForksAgain
    ? forkBetween(plan, control, initControl, init, heard)
    : (enterPidNamespace(plan), forkChild(init));
  close(initControl);
  return { pid, pidfd: pidfd_open(pid), control, plan, heard };
}

/**
 * Forks init ahead of its plan into a new pid namespace, where it makes what most plans ask for (see early.ts).
 *
 * `mounts` and `tun` are those that the plan will most likely have.
 */
export function forkEarlyInit(mounts: readonly MountSpec[], tun: TunPlan | undefined): EarlyInit {
  const [control, initControl] = openControl();
  const monitorPid = getpid();
  unshare(CLONE_NEWPID);
  const pid = forkChild(() => runEarlyInit(initControl, monitorPid, mounts, tun));
  close(initControl);
  return { pid, pidfd: pidfd_open(pid), control };
}

/** Gives it the plan; `mountRoot` mounts the root filesystem meanwhile. */
export function adoptEarlyInit(
  early: EarlyInit,
  plan: InitPlan,
  options: SpawnInitOptions,
  mountRoot: () => void,
): InitHandle {
  try {
    sendPlan(early.control, { plan, ...options });
    mountRoot();
    answerInit(early.control, "mounted");
  } catch (error) {
    // it has failed, and says why when it is asked
    if (!isErrno(error, EPIPE)) throw error;
  }
  return { ...early, plan };
}

function enterPidNamespace(plan: InitPlan): void {
  const joined = plan.annex.join.find((one) => one.type === "pid");
  if (joined) {
    const namespace = open(joined.path, O_RDONLY | O_CLOEXEC);
    setns(namespace, CLONE_NEWPID);
    close(namespace);
  } else if (plan.spec.linux.namespaces.some((one) => one.type === "pid")) {
    unshare(CLONE_NEWPID);
  }
}

/**
 * The pid namespace must belong to a nested user namespace, or procfs cannot be mounted in it; and whoever has made a
 * pid namespace can fork into nothing else, not even when it is gone. So a process between makes both, forks init and
 * is gone; init becomes a child of this process as subreaper.
 */
function forkBetween(
  plan: InitPlan,
  control: number,
  initControl: number,
  init: () => number,
  heard: InitEvent[],
): number {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const link = new MonitorLink(initControl);
  let stage = "enter namespaces";
  const between = forkChild(() => {
    if (plan.annex.nestedUserns) {
      const { joinUserns } = plan.annex;
      openJoinedNamespaces(plan)();
      stage = joinUserns === undefined ? "create user namespace" : "join user namespace";
      if (joinUserns === undefined) {
        unshare(CLONE_NEWUSER);
        link.requestIdMaps();
      } else {
        using namespace = new Fd(open(joinUserns, O_RDONLY | O_CLOEXEC));
        setns(namespace.number, CLONE_NEWUSER);
      }
    }
    stage = "create pid namespace";
    enterPidNamespace(plan);
    link.reportPid(forkHeld(init));
    return 0;
  }, (error) => link.reportFailure(describeSetupFailure(stage, error)));
  for (;;) {
    const message = receiveFromInit(control, "");
    if (message.kind === "map-ids") {
      try {
        writeIdMaps(between, plan);
      } catch (error) {
        // it waits for an answer, and holds the other end itself
        kill(between, SIGKILL);
        waitpidBlocking(between);
        throw error;
      }
      answerInit(control, "mapped");
    } else if (message.kind === "forked") {
      waitpidBlocking(between);
      return message.pid;
    } else if (message.kind === "network") {
      // init may be faster than the process between
      heard.push(message);
    } else {
      waitpidBlocking(between);
      const failure = message.kind === "failure" ? message.failure.message : "the process ended early";
      throw new SkiffError(`create pid namespace: ${failure}`);
    }
  }
}

/** Forks `child`, which begins when this process has ended: nothing that it says comes before what this one says. */
function forkHeld(child: () => number): number {
  const [end, held] = pipe2(O_CLOEXEC);
  return forkChild(() => {
    close(held);
    read(end, new Uint8Array(1));
    close(end);
    return child();
  });
}

/** What init says after its pid is known. */
export type InitEvent = Exclude<InitMessage, { kind: "map-ids" | "forked" }>;

/**
 * The next word of init, waiting for it: to be called when `control` is readable.
 *
 * The control socket is closed after its last.
 */
export function receiveInitMessage(handle: InitHandle): InitEvent {
  const early = handle.heard?.shift();
  if (early) return early;
  const message = receiveFromInit(handle.control, handle.plan.spec.process.args[0] ?? "");
  if (message.kind === "map-ids" || message.kind === "forked") {
    throw new SkiffError(`init sent an unexpected message: ${message.kind}`);
  }
  if (isLastWord(message)) close(handle.control);
  return message;
}

/** Opens the start barrier: init goes on to execute the program. False where it has died, which is heard of next. */
export function openBarrier(handle: Pick<InitHandle, "control">): boolean {
  try {
    answerInit(handle.control, "go");
    return true;
  } catch (error) {
    if (isErrno(error, EPIPE)) return false;
    throw error;
  }
}

function writeIdMaps(pid: number, plan: InitPlan): void {
  const nested = plan.annex.nestedUserns!;
  for (const kind of ["uid", "gid"] as const) {
    const own = parseIdMap(Deno.readTextFileSync(`/proc/self/${kind}_map`));
    writeMap(`/proc/${pid}/${kind}_map`, splitIdMap(nested[kind], own));
  }
}

/** The kernel takes a map in one write only. @see user_namespaces(7) */
function writeMap(path: string, mappings: readonly IdMapping[]): void {
  const fd = open(path, O_WRONLY | O_CLOEXEC);
  try {
    writeAll(fd, new TextEncoder().encode(formatIdMap(mappings)));
  } finally {
    close(fd);
  }
}

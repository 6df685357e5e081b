/**
 * The monitor of an exec session, forked before the command has loaded what it plans with: it stays small, and the
 * fork is off the path of the start.
 *
 * ```
 *  command                            seed
 *    fork ──────────────────────────▶   waits
 *    loads, finds the container, plans
 *    JSON of the plan, descriptors ──▶   becomes the session's monitor
 *    or ends without a word ─────────▶   ends as well
 * ```
 */

import { EPIPE, isErrno } from "../../ffi/errno.ts";
import { close, closeAllExcept } from "../../ffi/file.ts";
import { forkChild } from "../../ffi/fork.ts";
import { _exit, setProcessName } from "../../ffi/process.ts";
import { type ExecMonitorFds, runExecMonitor } from "./exec_monitor.ts";
import { forkWaiting, receiveJson, sendJson } from "./handover.ts";
import type { ExecPlan } from "./plan.ts";

let planted: { pid: number; socket: number } | undefined;

/** Forks a seed for the next session. */
export function plantExecSeed(): void {
  planted ??= forkWaiting(waitForPlanBlocking);
}

/**
 * Makes the planted seed the session's monitor, or forks one; gives its pid. `fds` stay the caller's to close.
 *
 * @throws {SyscallError} EAGAIN where the user's process limit is reached
 */
export function growExecSeed(plan: ExecPlan, fds: ExecMonitorFds): number {
  const seed = planted;
  planted = undefined;
  if (seed) {
    try {
      // the seed has none of the descriptors that are passed on: it closed them when it was planted
      if (!plan.passedFds) {
        sendJson(seed.socket, plan, [fds.listen, fds.ready]);
        return seed.pid;
      }
    } catch (error) {
      // a signal to the command's process group may have met the seed before
      if (!isErrno(error, EPIPE)) throw error;
    } finally {
      close(seed.socket);
    }
  }
  return forkChild(() => runExecMonitor(plan, fds));
}

/** The forked child: ends with the command, or never returns from being a monitor. */
function waitForPlanBlocking(socket: number): number {
  closeAllExcept([socket]);
  setProcessName("skiff: seed");
  const handover = receiveJson<ExecPlan>(socket, 2);
  if (!handover) _exit(0);
  const [listen, ready] = handover.fds;
  runExecMonitor(handover.value, { listen: listen!, ready: ready! });
}

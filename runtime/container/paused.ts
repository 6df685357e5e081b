/**
 * A paused container: all its processes held still, by a freezer or by SIGSTOP, and `paused.json` in its folder, which
 * says how. A record of an earlier run means nothing.
 */

import { SIGCONT, SIGSTOP } from "../../ffi/constants/signal.ts";
import { ESRCH, isErrno } from "../../ffi/errno.ts";
import { kill } from "../../ffi/process.ts";
import { freeze, thaw } from "../cgroups/freezer.ts";
import { SkiffError } from "../errors.ts";
import type { StateRecord } from "../monitor/plan.ts";
import { writeRecord } from "../monitor/records.ts";
import { PAUSED_FILE as FILE, type PausedRecord } from "./paused_record.ts";
import { listProcesses } from "./process_tree.ts";

/** A tree that forks faster than it can be stopped. */
const STOP_WITHIN_MS = 5000;

/** Holds everything still. `extra` are the programs of exec sessions. */
export function pauseProcesses(
  dir: string,
  id: string,
  state: StateRecord,
  extra: readonly number[],
): PausedRecord {
  const { initPid, initStartTime } = state;
  const list = () => listProcesses(initPid, extra);
  const cgroup = freeze(`skiff-paused-${id.slice(0, 12)}`, () => list().map(({ pid }) => pid));
  const record: PausedRecord = { initPid, initStartTime, ...(cgroup && { cgroup }) };
  // before the first signal: whoever is killed meanwhile leaves a container that can be unpaused
  try {
    writeRecord(`${dir}/${FILE}`, record);
  } catch (cause) {
    if (cgroup) thaw(cgroup);
    throw new SkiffError(`pause container: ${(cause as Error).message}`, { cause });
  }
  if (cgroup) return record;
  const end = performance.now() + STOP_WITHIN_MS;
  const signalled = new Set<number>();
  for (let running = list(); running.length > 0;) {
    for (const { pid } of running) {
      signal(pid, SIGSTOP);
      signalled.add(pid);
    }
    // a child that was forked before its parent stopped is found in the next round; who sleeps in the kernel (D), as
    // a parent does in vfork, stops when it wakes
    running = list().filter(({ pid, state }) => "RS".includes(state) || !signalled.has(pid));
    if (performance.now() > end) {
      unpauseProcesses(dir, record, extra);
      throw new SkiffError("pause container: its processes fork faster than they can be stopped");
    }
  }
  return record;
}

/** Lets everything run again. */
export function unpauseProcesses(dir: string, record: PausedRecord, extra: readonly number[] = []): void {
  if (record.cgroup) thaw(record.cgroup);
  else for (const { pid } of listProcesses(record.initPid, extra)) signal(pid, SIGCONT);
  try {
    Deno.removeSync(`${dir}/${FILE}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function signal(pid: number, number: number): void {
  try {
    kill(pid, number);
  } catch (error) {
    if (!isErrno(error, ESRCH)) throw error;
  }
}

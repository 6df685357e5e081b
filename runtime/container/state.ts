/**
 * What state a container is in: the row in the database, corrected by the files that its monitor writes.
 *
 * ```
 *  lock held   ─ state.json? ──▶ created | running | stopping, else still being created
 *  lock free   ─ exit.json?  ──▶ exited: folded into the row
 *              ─ state.json? ──▶ the monitor died: what lives is killed, 137 is recorded
 *              ─ neither     ──▶ created, or as it was before a start that never came to a monitor
 *  lock gone   ──▶ the container is gone
 * ```
 *
 * Whoever folds keeps the shared lock meanwhile, so that no start comes between reading and recording.
 */

import { EPERM, ESRCH, isErrno } from "../../ffi/errno.ts";
import { SIGKILL } from "../../ffi/constants/signal.ts";
import { kill } from "../../ffi/process.ts";
import type { ExitRecord, StateRecord } from "../monitor/plan.ts";
import { PROTOCOL_VERSION } from "../monitor/plan.ts";
import { EXIT_FILE, isRunning, readExit, readState, STATE_FILE, writeExit } from "../monitor/records.ts";
import { readBootId } from "../state/boot.ts";
import { type ContainerRow, setContainerExited, setContainerState } from "../state/containers.ts";
import { type Database, isDiskFull } from "../state/db.ts";
import { recordContainerEvent } from "../state/events.ts";
import { PAUSED_FILE, readPaused } from "./paused_record.ts";
import { type HeldLock, inspectLock } from "../state/locks.ts";
import { deleteContainerWithVolumes } from "../state/volumes.ts";

export type Status = "created" | "running" | "paused" | "restarting" | "stopping" | "exited" | "removing";

/** Whether the container has a monitor that looks after its program. */
export function isLive(status: Status): boolean {
  return status === "running" || status === "stopping" || status === "paused" || status === "restarting";
}

export interface ContainerStatus {
  status: Status;
  /** Of init and of the monitor; 0 where none lives. */
  pid: number;
  monitorPid: number;
  startedAt: string;
  finishedAt: string;
  exitCode: number;
  error: string;
  oomKilled: boolean;
}

export interface Observed {
  row: ContainerRow;
  status: ContainerStatus;
}

export function lockPath(containerDir: string): string {
  return `${containerDir}/lock`;
}

/** Whether a monitor, or somebody who creates or starts the container, holds its lock. */
export function isHeld(containerDir: string): boolean {
  const asked = inspectLock(lockPath(containerDir));
  if (asked.state === "free") asked.lock[Symbol.dispose]();
  return asked.state === "held";
}

/** How many rows are corrected in one transaction; each keeps a descriptor open. */
const FOLD_BATCH = 64;

/**
 * The truth about these rows. Those that wait for a start or have ended cost nothing; for the others the folder is
 * asked, and what was found is recorded, so that it is asked once. Containers that have vanished are left out, with
 * `checkFolders` also those whose folder was removed by hand.
 */
export async function observeContainers(
  db: Database,
  containersDir: string,
  rows: readonly ContainerRow[],
  options: { checkFolders?: boolean } = {},
): Promise<Observed[]> {
  const observed: (Observed | undefined)[] = [];
  const folds: { lock: HeldLock | null; record: () => void }[] = [];
  const flush = async () => {
    if (folds.length === 0) return;
    const batch = folds.splice(0);
    try {
      await db.transaction(() => batch.forEach((fold) => fold.record()));
    } catch (error) {
      // what was found is true, and recorded by the next command that can
      if (!isDiskFull(error)) throw error;
    } finally {
      for (const { lock } of batch) lock?.[Symbol.dispose]();
    }
  };
  for (const row of rows) {
    const found = await look(row, `${containersDir}/${row.id}`, db, options.checkFolders ?? false);
    if (found.fold) folds.push(found.fold);
    observed.push(found.status && { row, status: found.status });
    if (folds.length >= FOLD_BATCH) await flush();
  }
  await flush();
  return observed.filter((one) => one !== undefined);
}

interface Look {
  /** undefined: the container is gone. */
  status?: ContainerStatus;
  fold?: { lock: HeldLock | null; record: () => void };
}

async function look(row: ContainerRow, dir: string, db: Database, checkFolders: boolean): Promise<Look> {
  if (row.state === "exited" || row.state === "created") {
    return checkFolders ? lookAtSettled(row, dir, db) : { status: settledStatus(row) };
  }
  const asked = inspectLock(lockPath(dir));
  if (asked.state === "missing") return lookAtLockless(row, dir, db);
  if (row.state === "removing") {
    if (asked.state === "free") asked.lock[Symbol.dispose]();
    return { status: { ...settledStatus(row), status: "removing" } };
  }
  if (asked.state === "held") return { status: liveStatus(dir, row) };
  let kept = false;
  try {
    const end = readExit(dir) ?? await endOfDeadMonitor(row, dir);
    const record = end
      ? () => setContainerExited(db, row.id, end)
      : row.state === "starting"
      ? () => void setContainerState(db, row.id, row.finishedAt ? "exited" : "created")
      : undefined;
    const status = end
      ? endedStatus(end)
      : { ...settledStatus(row), status: row.finishedAt ? "exited" : "created" } as const;
    if (!record) return { status };
    kept = true;
    return { status, fold: { lock: asked.lock, record } };
  } finally {
    if (!kept) asked.lock[Symbol.dispose]();
  }
}

/** Rows of settled containers are true, unless somebody has removed the folder by hand. */
function lookAtSettled(row: ContainerRow, dir: string, db: Database): Look {
  const { status, fold } = lookAtLockless(row, dir, db);
  return status ? { status: settledStatus(row) } : { fold };
}

/** A folder without a lock is half removed; a row without a folder is gone. */
function lookAtLockless(row: ContainerRow, dir: string, db: Database): Look {
  try {
    Deno.lstatSync(dir);
    return { status: { ...settledStatus(row), status: "removing" } };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    // a monitor that removes its container takes the anonymous volumes along
    return { fold: { lock: null, record: () => void deleteContainerWithVolumes(db, row.id) } };
  }
}

/** Why a container has ended that nobody has seen end. */
export const MONITOR_KILLED = "the monitor of the container was killed";

/**
 * A monitor that died without an exit record: its init has PR_SET_PDEATHSIG, but a setuid program clears that, so
 * what still lives is killed here (pid 1 of a namespace takes all of it along), and the end is written down.
 */
async function endOfDeadMonitor(row: ContainerRow, dir: string): Promise<ExitRecord | undefined> {
  const state = readState(dir);
  if (!state) return undefined;
  await killLeftover(state, row.id);
  const record: ExitRecord = {
    version: PROTOCOL_VERSION,
    exitCode: 137,
    error: MONITOR_KILLED,
    startedAt: state.startedAt,
    finishedAt: new Date().toISOString(),
    oomKilled: false,
  };
  writeExit(dir, record);
  const data = dir.slice(0, dir.lastIndexOf("/containers/"));
  recordContainerEvent({ data }, row, "died", {}, 137);
  return record;
}

async function killLeftover(state: StateRecord, id: string): Promise<void> {
  if (state.bootId !== readBootId() || state.initPid <= 1) return;
  await killInit(state);
  if (state.mountNamespace === undefined) return;
  const { killLeftProcesses } = await import("../monitor/left_processes.ts");
  killLeftProcesses(state.mountNamespace, id);
}

async function killInit(state: StateRecord): Promise<void> {
  for (let waitedMs = 0; waitedMs < 5000; waitedMs += 10) {
    if (!state.initStartTime || !isRunning(state.initPid, state.initStartTime)) return;
    try {
      kill(state.initPid, SIGKILL);
    } catch (error) {
      if (isErrno(error, ESRCH, EPERM)) return;
      throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function settledStatus(row: ContainerRow): ContainerStatus {
  const { startedAt, finishedAt, exitCode, error, oomKilled } = row;
  const status = row.state === "starting" ? "created" : row.state;
  return { status, pid: 0, monitorPid: 0, startedAt, finishedAt, exitCode, error, oomKilled };
}

function liveStatus(dir: string, row: ContainerRow): ContainerStatus {
  // what is usually missing is looked up first: a process's first exception costs a millisecond
  const names = namesIn(dir);
  const end = names.has(EXIT_FILE) ? readExit(dir) : undefined;
  // the record is written, the monitor has only to clear up
  if (end) return endedStatus(end);
  const state = names.has(STATE_FILE) ? readState(dir) : undefined;
  if (!state) return { ...settledStatus(row), status: "created" };
  const { initPid, monitorPid, startedAt } = state;
  const status = state.status === "running" && names.has(PAUSED_FILE) && readPaused(dir, state)
    ? "paused"
    : state.status;
  return {
    status,
    pid: initPid,
    monitorPid,
    startedAt: status === "created" ? "" : startedAt,
    finishedAt: "",
    exitCode: 0,
    error: "",
    oomKilled: false,
  };
}

function namesIn(dir: string): Set<string> {
  try {
    return new Set(Array.from(Deno.readDirSync(dir), ({ name }) => name));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Set(); // a monitor has just removed it
    throw error;
  }
}

function endedStatus(end: ExitRecord): ContainerStatus {
  const { startedAt, finishedAt, exitCode, error, oomKilled } = end;
  return { status: "exited", pid: 0, monitorPid: 0, startedAt, finishedAt, exitCode, error, oomKilled };
}

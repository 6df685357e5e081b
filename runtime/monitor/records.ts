/**
 * The records that a monitor leaves in its container's (or exec session's) folder, each replaced by rename.
 *
 * They are not synced: after a power loss the container is gone anyway, and a record that is missing or torn
 * reads as none.
 */

import { AT_FDCWD, F_OK } from "../../ffi/constants/fcntl.ts";
import { faccessat } from "../../ffi/file.ts";
import type { ExitRecord, SetupFailure, StateRecord } from "./plan.ts";

export const STATE_FILE = "state.json";
export const EXIT_FILE = "exit.json";
/** The name that `rename` gave a container last; written by the command. */
export const NAME_FILE = "name";

/** What goes through the pipe to the parent, once: whether the program runs. */
export type ReadyMessage = { ok: true; initPid: number } | { ok: false; failure: SetupFailure };

export function writeState(folder: string, record: StateRecord): void {
  writeRecord(`${folder}/${STATE_FILE}`, record);
}

/**
 * Where the disk is full, the record gets the room of the state's, which has served its time.
 *
 * @throws what the first attempt failed with; the state is then what it was
 */
export function writeExit(folder: string, record: ExitRecord): void {
  try {
    writeRecord(`${folder}/${EXIT_FILE}`, record);
  } catch (error) {
    const isFull = FULL_DISK.has((error as { code?: string }).code);
    if (!isFull || !turnStateInto(folder, record)) throw error;
  }
}

const FULL_DISK: ReadonlySet<string | undefined> = new Set(["ENOSPC", "EDQUOT"]);

/**
 * Writes over what is there, for room that is given back may be gone before it is asked for again. The record keeps
 * the state's fields: a kill before the rename leaves the state of a process that has gone.
 */
function turnStateInto(folder: string, record: ExitRecord): boolean {
  const path = `${folder}/${STATE_FILE}`;
  try {
    removeRecord(`${folder}/${EXIT_FILE}.tmp`);
    const before = Deno.readFileSync(path);
    const state = JSON.parse(new TextDecoder().decode(before));
    using file = Deno.openSync(path, { write: true });
    try {
      const after = JSON.stringify({ ...state, ...record }).padEnd(before.length);
      writeFromStart(file, new TextEncoder().encode(after));
      Deno.renameSync(path, `${folder}/${EXIT_FILE}`);
    } catch {
      writeFromStart(file, before);
      file.truncateSync(before.length);
      return false;
    }
    return true;
  } catch {
    // there is none, or it is lost as well: what counts is why there is no room
    return false;
  }
}

function writeFromStart(file: Deno.FsFile, bytes: Uint8Array): void {
  file.seekSync(0, Deno.SeekMode.Start);
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}

/** Removes what an earlier run left: a record must never speak for a run that it is not of. */
export function removeRecords(folder: string): void {
  for (const file of [STATE_FILE, EXIT_FILE]) removeRecord(`${folder}/${file}`);
}

export function removeRecord(path: string): void {
  if (isAbsent(path)) return;
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** undefined where there is none, or none that can be read. */
export function readState(folder: string): StateRecord | undefined {
  return readRecord(`${folder}/${STATE_FILE}`, isState);
}

/** undefined where it was never renamed, or its folder has gone. */
export function readName(folder: string): string | undefined {
  const path = `${folder}/${NAME_FILE}`;
  if (isAbsent(path)) return undefined;
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}

/** Asked first where there usually is none: the first exception of a process costs it up to a millisecond. */
function isAbsent(path: string): boolean {
  return !faccessat(AT_FDCWD, path, F_OK);
}

/** undefined where there is none, or none that can be read. */
export function readExit(folder: string): ExitRecord | undefined {
  return readRecord(`${folder}/${EXIT_FILE}`, isExit);
}

/**
 * Field 22 of /proc/PID/stat, which with the pid names a process for good; "" where it has gone.
 *
 * @see proc_pid_stat(5): the second field is the command in parentheses and may hold anything
 */
export function processStartTime(pid: number): string {
  return statFields(pid)[19] ?? "";
}

/** Whether the process still runs. One that only waits to be reaped has ended, and of a namespace's init so has all. */
export function isRunning(pid: number, startTime: string): boolean {
  const fields = statFields(pid);
  return fields[19] === startTime && fields[0] !== "Z" && fields[0] !== "X";
}

/** From the third on, the state. */
function statFields(pid: number): string[] {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return [];
  }
}

export function bootId(): string {
  return Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();
}

export function writeRecord(path: string, record: unknown): void {
  const temporary = `${path}.tmp`;
  Deno.writeTextFileSync(temporary, JSON.stringify(record), { mode: 0o600 });
  Deno.renameSync(temporary, path);
}

/** undefined where there is none, or none that `isRecord` takes. */
export function readRecord<T>(path: string, isRecord: (value: Partial<T>) => boolean): T | undefined {
  try {
    const value = JSON.parse(Deno.readTextFileSync(path));
    return typeof value === "object" && value !== null && isRecord(value) ? value : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isState(value: Partial<StateRecord>): boolean {
  return typeof value.monitorPid === "number" && typeof value.initPid === "number";
}

function isExit(value: Partial<ExitRecord>): boolean {
  return typeof value.exitCode === "number" && typeof value.finishedAt === "string";
}

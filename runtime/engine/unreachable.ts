/**
 * Ends a container whose monitor lives but whose socket has gone: with the last session of a user who does not
 * linger, /run/user/UID is removed, and containers live on.
 */

import { AT_FDCWD, F_OK } from "../../ffi/constants/fcntl.ts";
import { SIGKILL, SIGTERM } from "../../ffi/constants/signal.ts";
import { EPERM, ESRCH, isErrno } from "../../ffi/errno.ts";
import { faccessat } from "../../ffi/file.ts";
import { kill } from "../../ffi/process.ts";
import { isHeld } from "../container/state.ts";
import { ConflictError } from "../errors.ts";
import { readState } from "../monitor/records.ts";
import { readBootId } from "../state/boot.ts";
import { monitorSocketPath } from "../state/folders.ts";
import type { Engine } from "./engine.ts";

/** The end of a monitor, which clears up, after that of its container. */
const END_MS = 10_000;

/** Whether a monitor holds the container and nobody can connect to it. */
export function isUnreachable(engine: Engine, id: string): boolean {
  return !faccessat(AT_FDCWD, monitorSocketPath(engine.folders, id), F_OK) && isHeld(engine.containerDir(id));
}

/**
 * Waits until it has ended: the monitor obeys SIGTERM like a `stop`, and after `timeoutSeconds` (its own where
 * undefined, for ever below 0) the container is killed.
 */
export async function endUnreachable(
  engine: Engine,
  id: string,
  timeoutSeconds: number | undefined,
): Promise<void> {
  const dir = engine.containerDir(id);
  const state = readState(dir);
  if (state === undefined || state.bootId !== readBootId()) return;
  signal(state.monitorPid, SIGTERM);
  const waitMs = timeoutSeconds === undefined || timeoutSeconds < 0 ? Infinity : timeoutSeconds * 1000;
  if (await hasEnded(dir, waitMs)) return;
  // init may belong to another id of the user; it dies with its monitor
  if (!signal(state.initPid, SIGKILL)) signal(state.monitorPid, SIGKILL);
  if (await hasEnded(dir, END_MS)) return;
  throw new ConflictError(`stop container "${id}": it does not end`);
}

async function hasEnded(dir: string, withinMs: number): Promise<boolean> {
  const end = Date.now() + withinMs;
  while (isHeld(dir)) {
    if (Date.now() >= end) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}

/** False where it may not be sent. */
function signal(pid: number, number: number): boolean {
  try {
    kill(pid, number);
    return true;
  } catch (error) {
    if (isErrno(error, ESRCH)) return true;
    if (isErrno(error, EPERM)) return false;
    throw error;
  }
}

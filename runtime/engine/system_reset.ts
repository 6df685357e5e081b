/**
 * `system reset`: ends everything that runs and removes all that skiff keeps, whatever state it is in, so that
 * it works where the database or a container's files are damaged.
 */

import { SIGKILL } from "../../ffi/constants/signal.ts";
import { EPERM, ESRCH, isErrno } from "../../ffi/errno.ts";
import { kill } from "../../ffi/process.ts";
import { isHeld } from "../container/state.ts";
import { ConflictError } from "../errors.ts";
import { isRunning, readState } from "../monitor/records.ts";
import { readBootId } from "../state/boot.ts";
import { namesIn } from "../state/listing.ts";
import { removeInNamespace } from "../storage/removal.ts";
import type { Engine } from "./engine.ts";
import { killAndWait } from "./kill.ts";

/** How long the end of what was killed is waited for. */
const END_MS = 10_000;

/** Nothing of it is left but the two folders themselves where they are mount points. */
export async function systemReset(engine: Engine): Promise<void> {
  const { folders } = engine;
  const ids = namesIn(folders.containers);
  await Promise.all(ids.map((id) => end(engine, id)));
  const left = ids.filter((id) => isHeld(engine.containerDir(id)));
  if (left.length > 0) {
    throw new ConflictError(`reset: container ${left[0]!.slice(0, 12)} does not end`);
  }
  engine[Symbol.dispose]();
  // what may belong to subordinate ids goes first, as root of their namespace
  const trees = [
    folders.containers,
    folders.layers,
    folders.volumes,
    folders.tmp,
    `${folders.data}/build-cache`,
  ];
  await removeInNamespace(engine, trees);
  await removeFolder(folders.data);
  if (!isShared(folders.run)) await removeFolder(folders.run);
}

/** Another data folder of the user's has containers whose sockets and namespace are there as well. */
function isShared(runFolder: string): boolean {
  return namesIn(runFolder).some((name) =>
    /^(?:c|x|userns-.*)$/.test(name) && namesIn(`${runFolder}/${name}`).some((entry) => entry !== "lock")
  );
}

/** By its monitor where that answers, else by its processes. */
async function end(engine: Engine, id: string): Promise<void> {
  const dir = engine.containerDir(id);
  const deadline = Date.now() + END_MS;
  if (isHeld(dir)) await killAndWait(engine, id, 0).catch(() => {});
  while (isHeld(dir) && Date.now() < deadline) {
    killRecorded(dir);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function killRecorded(dir: string): void {
  const state = readState(dir);
  if (state === undefined || state.bootId !== readBootId()) return;
  // init alone is known by more than its number; its end is the monitor's
  if (state.initPid <= 1 || !isRunning(state.initPid, state.initStartTime)) return;
  try {
    kill(state.initPid, SIGKILL);
  } catch (error) {
    if (!isErrno(error, ESRCH, EPERM)) throw error;
  }
}

async function removeFolder(path: string): Promise<void> {
  for (const name of namesIn(path)) await Deno.remove(`${path}/${name}`, { recursive: true });
  try {
    await Deno.remove(path);
  } catch {
    // a mount point, or a folder in one that is not ours to change: it is empty
  }
}

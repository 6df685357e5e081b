/** `rm`: removes a container with all it has written. */

import { close } from "../../ffi/file.ts";
import { takeContainerLock } from "../container/folder.ts";
import { readMountRecord } from "../container/mounted.ts";
import { isHeld, isLive, lockPath, observeContainers } from "../container/state.ts";
import { ConflictError, NotFoundError } from "../errors.ts";
import { listDependents, setContainerRemoving } from "../state/containers.ts";
import { isDiskFull } from "../state/db.ts";
import { recordContainerEvent } from "../state/events.ts";
import { inspectLock } from "../state/locks.ts";
import { findRow } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { collectContainerGarbage, discardContainer, emptyTrash, forgetContainer } from "./garbage.ts";
import { killAndWait } from "./kill.ts";

/** How long `force` insists. */
const FORCE_MS = 10_000;

export interface RmOptions {
  /** Kill it where it runs, and remove it whatever state its files are in. */
  force?: boolean;
  /** Also the anonymous volumes that only it used. */
  volumes?: boolean;
  /** First those that were created with `requires` on it. */
  depend?: boolean;
  /** No error where there is no such container. */
  ignore?: boolean;
  /** With `force`: how long the container has to stop by itself; by default it is killed at once. */
  timeoutSeconds?: number;
}

/** Others need it; where it runs is another matter, which podman's exit code tells. */
export class DependentsError extends ConflictError {}

/** Returns the id of what was removed; undefined where there was nothing (`ignore`). */
export async function rm(engine: Engine, text: string, options: RmOptions = {}): Promise<string | undefined> {
  const db = await engine.database();
  let row;
  try {
    row = findRow(db, text);
  } catch (error) {
    if (options.ignore && error instanceof NotFoundError) return undefined;
    throw error;
  }
  if (row.pod) {
    const { rmInfra } = await import("./pods/infra_rm.ts");
    if (await rmInfra(engine, db, row, options)) return row.id;
  }
  const dependents = listDependents(db, row.id);
  for (const id of options.depend ? dependents : []) await rm(engine, id, { ...options, ignore: true });
  if (dependents.length > 0 && !options.depend) {
    throw new DependentsError(
      `remove container "${text}": it has dependent containers which must be removed before it: ${
        dependents.join(", ")
      }`,
    );
  }
  const [observed] = await observeContainers(db, engine.folders.containers, [row]);
  const status = observed?.status.status;
  const isRunning = status !== undefined && isLive(status);
  if (isRunning) {
    if (!options.force) {
      throw new ConflictError(
        `remove container "${text}": it is ${status} - ${
          status === "paused" ? "running or paused" : "running"
        } containers cannot be removed without force`,
      );
    }
    const killed = killAndWait(engine, row.id, options.timeoutSeconds ?? 0);
    if (status === "paused") (await import("./pause.ts")).letRun(engine, row.id);
    await killed;
  } else if (options.force && readMountRecord(engine.containerDir(row.id)) !== undefined) {
    const { unmountContainer } = await import("./mount.ts");
    await unmountContainer(engine, row.id, true);
  } else if (options.force && isHeld(engine.containerDir(row.id))) {
    // a monitor that waits for a client of a command that was killed
    await killAndWait(engine, row.id, 0);
  }
  // a container of --rm takes itself away
  const withVolumes = options.volumes || row.autoRemove;
  await removeFolder(engine, row.id, withVolumes, options.force ?? false);
  await forgetContainer(engine, row.id, withVolumes);
  // a monitor has told of the removal of its --rm container
  if (!(row.autoRemove && isRunning)) recordContainerEvent(engine.folders, row, "remove");
  await collectContainerGarbage(engine);
  if (row.network === "bridge") await (await import("./bridge_change.ts")).removeBridgeRemains(engine);
  return row.id;
}

async function removeFolder(
  engine: Engine,
  id: string,
  withVolumes: boolean,
  force: boolean,
): Promise<void> {
  const dir = engine.containerDir(id);
  if (inspectLockState(dir) === "missing") {
    discardContainer(engine, id);
    return;
  }
  let lockFd: number | null;
  try {
    lockFd = await takeContainerLock(dir);
    // started meanwhile; or its monitor was killed, and the kernel has not yet cleared that away
    for (const end = Date.now() + FORCE_MS; lockFd === null && force && Date.now() < end;) {
      await killAndWait(engine, id, 0);
      await new Promise((resolve) => setTimeout(resolve, 10));
      lockFd = await takeContainerLock(dir);
    }
  } catch (error) {
    if (inspectLockState(dir) === "missing") return; // its monitor was faster
    throw error;
  }
  if (lockFd === null) throw new ConflictError(`remove container "${id}": it was started meanwhile`);
  try {
    const db = await engine.database();
    try {
      await db.transaction(() => setContainerRemoving(db, id, withVolumes));
    } catch (error) {
      // a row without a folder is gone as well; what lay in that makes the room to record it
      if (!isDiskFull(error)) throw error;
      discardContainer(engine, id);
      await emptyTrash(engine);
    }
    discardContainer(engine, id);
  } finally {
    close(lockFd);
  }
}

function inspectLockState(dir: string): string {
  const asked = inspectLock(lockPath(dir));
  if (asked.state === "free") asked.lock[Symbol.dispose]();
  return asked.state;
}

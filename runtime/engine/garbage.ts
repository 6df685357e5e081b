/**
 * What killed commands leave behind, and what nobody needs any more.
 *
 * Removing is in two steps: a folder is renamed into `tmp/rm-…`, which is atomic, and emptied at leisure; whoever
 * comes later finishes what was interrupted. Nothing here waits for a lock: what is in use stays for the next.
 */

import { AT_FDCWD } from "../../ffi/constants/fcntl.ts";
import { EACCES, EPERM, isErrno } from "../../ffi/errno.ts";
import { lockPath, type Observed } from "../container/state.ts";
import { imagesLockPath } from "../image/store.ts";
import {
  deleteContainer,
  findContainer,
  listUnsettledContainers,
  setContainerState,
} from "../state/containers.ts";
import type { Database } from "../state/db.ts";
import { recordContainerEvent, recordEvent } from "../state/events.ts";
import { monitorSocketPath, programSocketPath, TRASH, trashPath } from "../state/folders.ts";
import { listReferencedContent } from "../state/images.ts";
import { namesIn, removeIfThere } from "../state/listing.ts";
import { inspectLock, tryLock } from "../state/locks.ts";
import { deleteContainerWithVolumes, findVolume, listOrphanedVolumes } from "../state/volumes.ts";
import { abandonedBeside, isAbandonedTree } from "../storage/abandoned_tree.ts";
import { removeTree } from "../storage/remove_tree.ts";
import type { Engine } from "./engine.ts";

/** Something that young may be in the making. */
const GRACE_MS = 60_000;
/** A download that nobody has gone on with for this long. */
const PARTIAL_GRACE_MS = 24 * 3600_000;

/** Moves a folder out of sight; whether it was there. */
export function discard(engine: Engine, path: string): boolean {
  try {
    Deno.renameSync(path, trashPath(engine.folders, crypto.randomUUID()));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Moves a container's folder away, and removes the sockets of its monitor and network. The caller knows that no monitor lives. */
export function discardContainer(engine: Engine, id: string): boolean {
  for (const path of socketsOf(engine, id)) removeIfThere(path);
  return discard(engine, engine.containerDir(id));
}

/** Those that a container may have. */
function socketsOf({ folders }: Engine, id: string): string[] {
  return [monitorSocketPath(folders, id), programSocketPath(folders, id)];
}

/** Removes what `discard` has moved away, here or in another command. */
export async function emptyTrash(engine: Engine): Promise<void> {
  const stubborn = namesIn(engine.folders.volumes).flatMap((name) => abandonedBeside(engine.folders, name));
  for (const name of namesIn(engine.folders.tmp)) {
    if (!name.startsWith(TRASH) && !isAbandonedTree(engine.folders.tmp, name)) continue;
    const path = `${engine.folders.tmp}/${name}`;
    try {
      removeTree(AT_FDCWD, path);
    } catch (error) {
      // files of subordinate ids, which only root of the user's namespace may remove
      if (!isErrno(error, EACCES, EPERM) && !(error instanceof Deno.errors.PermissionDenied)) throw error;
      stubborn.push(path);
    }
  }
  if (stubborn.length === 0) return;
  const { removeInNamespace } = await import("../storage/removal.ts");
  await removeInNamespace(engine, stubborn);
}

/** Folders of containers and volumes without a row, interrupted removals, sockets without a listener. */
export async function collectContainerGarbage(engine: Engine): Promise<void> {
  const db = await engine.database();
  for (const { id, state, autoRemove } of listUnsettledContainers(db)) {
    if (state === "removing") await finishRemoval(engine, id, autoRemove);
  }
  for (const id of namesIn(engine.folders.containers)) {
    if (!findContainer(db, id)) discardOrphan(engine, db, id);
  }
  if (namesIn(`${engine.folders.data}/volume-mounts`).length > 0) {
    await (await import("./volume_plugins/mounts.ts")).releaseEnded(engine.folders);
  }
  const orphans = listOrphanedVolumes(db);
  if (orphans.length > 0) {
    await (await import("./volume_plugins/volumes.ts")).removeOrphans(engine, orphans);
  }
  for (const name of namesIn(engine.folders.volumes)) {
    const path = `${engine.folders.volumes}/${name}`;
    // a volume's folder is made before its row
    if (!findVolume(db, name) && isOlderThan(path, GRACE_MS)) discard(engine, path);
  }
  // a container's own socket goes with it; those of other data folders share the place
  const own = new Set(namesIn(engine.folders.containers).flatMap((id) => socketsOf(engine, id)));
  for (const part of ["c", "x"]) await removeDeadSockets(`${engine.folders.run}/${part}`, own);
  await emptyTrash(engine);
}

/**
 * What `ps` can see at a glance: `--rm` containers whose monitor was killed before it could remove them, folders
 * without a row, removals that were interrupted. `folders` and `rows` are how many there are.
 */
export async function tidyContainers(
  engine: Engine,
  observed: readonly Observed[],
  { folders, rows }: StoreCount,
): Promise<void> {
  const ended = observed.filter(({ row, status }) => row.autoRemove && status.status === "exited");
  const isRemoving = observed.some(({ status }) => status.status === "removing");
  for (const { row } of ended) {
    if (await removeEnded(engine, row.id)) recordContainerEvent(engine.folders, row, "remove");
  }
  const hasTrash = [engine.folders.tmp, `${engine.folders.data}/volume-mounts`].some((folder) =>
    namesIn(folder).some((name) => !name.startsWith(".lock-"))
  );
  if (ended.length > 0 || isRemoving || folders > rows || hasTrash) await collectContainerGarbage(engine);
}

export interface StoreCount {
  folders: number;
  rows: number;
}

/** How many containers have a folder, and how many a row. */
export async function countContainers(engine: Engine): Promise<StoreCount> {
  const db = await engine.database();
  return {
    folders: namesIn(engine.folders.containers).length,
    rows: Number(db.get("SELECT count(*) AS n FROM containers")?.n),
  };
}

async function removeEnded(engine: Engine, id: string): Promise<boolean> {
  const lock = tryLock(lockPath(engine.containerDir(id)));
  if (!lock) return false; // its monitor is about to do it
  using _lock = lock;
  const db = await engine.database();
  await db.transaction(() => setContainerState(db, id, "removing"));
  discardContainer(engine, id);
  await forgetContainer(engine, id, true);
  return true;
}

/** A removal that was killed between its first transaction and its last; a live one holds the lock. */
async function finishRemoval(engine: Engine, id: string, withVolumes: boolean): Promise<void> {
  const asked = inspectLock(lockPath(engine.containerDir(id)));
  if (asked.state === "held") return;
  if (asked.state === "free") asked.lock[Symbol.dispose]();
  discardContainer(engine, id);
  await forgetContainer(engine, id, withVolumes);
}

/** A folder whose creator was killed before the row; a live creator or monitor holds its lock. */
function discardOrphan(engine: Engine, db: Database, id: string): void {
  const dir = engine.containerDir(id);
  const asked = inspectLock(lockPath(dir));
  if (asked.state === "held") return;
  if (asked.state === "missing") {
    if (isOlderThan(dir, GRACE_MS)) discardContainer(engine, id);
    return;
  }
  using _lock = asked.lock;
  // the row may have come between the first look and the lock
  if (!findContainer(db, id)) discardContainer(engine, id);
}

/** Removes a container's row and, where asked, the anonymous volumes that only it used. */
export async function forgetContainer(engine: Engine, id: string, withVolumes: boolean): Promise<void> {
  const db = await engine.database();
  await db.transaction(() => {
    if (!withVolumes) return deleteContainer(db, id);
    // before the commit: who is killed here leaves rows, by which the next command finishes
    for (const name of deleteContainerWithVolumes(db, id)) {
      discard(engine, `${engine.folders.volumes}/${name}`);
      recordEvent(engine.folders, { type: "volume", action: "remove", id: name, name });
    }
  });
}

async function removeDeadSockets(folder: string, spared: ReadonlySet<string>): Promise<void> {
  for (const name of namesIn(folder)) {
    const path = `${folder}/${name}`;
    if (spared.has(path) || !isOlderThan(path, GRACE_MS)) continue;
    try {
      (await Deno.connect({ transport: "unix", path })).close();
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionRefused) removeIfThere(path);
    }
  }
}

/**
 * Blobs and layers that no image refers to, and old partial downloads. Does nothing while a pull is on its way: its
 * content has no row yet.
 */
export async function collectImageGarbage(engine: Engine): Promise<void> {
  using lock = tryLock(imagesLockPath(engine.folders));
  if (!lock) return;
  const { blobs, diffIds } = listReferencedContent(await engine.database());
  for (const algorithm of ["sha256", "sha512"]) {
    const folder = `${engine.folders.blobs}/${algorithm}`;
    for (const hex of namesIn(folder)) {
      if (!blobs.has(`${algorithm}:${hex}`)) removeIfThere(`${folder}/${hex}`);
    }
  }
  const partial = `${engine.folders.blobs}/partial`;
  for (const name of namesIn(partial)) {
    if (isOlderThan(`${partial}/${name}`, PARTIAL_GRACE_MS)) removeIfThere(`${partial}/${name}`);
  }
  const hexes = new Set(Array.from(diffIds, (id) => id.slice(id.indexOf(":") + 1)));
  for (const hex of namesIn(engine.folders.layers)) {
    if (!hexes.has(hex)) discard(engine, `${engine.folders.layers}/${hex}`);
  }
  const { hasLayer, layerForm, removeAbandonedLayers } = await import("../storage/layers.ts");
  for (const key of namesIn(`${engine.folders.data}/lazy`)) {
    const { readLazyRecord } = await import("../storage/lazy/records.ts");
    const { removeLazyLayer, removeUnheldLayer } = await import("../storage/lazy/hold.ts");
    const layer = readLazyRecord(engine.folders, key)?.layer;
    if (layer === undefined || !blobs.has(layer.digest)) removeLazyLayer(engine.folders, key);
    else if (hasLayer(engine.folders, layer.diffId, layerForm(engine.namespaces))) {
      removeUnheldLayer(engine.folders, key);
    }
  }
  await removeAbandonedLayers(engine);
  await emptyTrash(engine);
}

function isOlderThan(path: string, ms: number): boolean {
  try {
    return Date.now() - (Deno.lstatSync(path).mtime?.getTime() ?? 0) > ms;
  } catch {
    return false;
  }
}

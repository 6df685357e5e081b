/** `system prune`: images and volumes that nothing uses; containers are `container prune`'s. */

import { ConflictError, NotFoundError } from "../errors.ts";
import { removeImage } from "../image/store.ts";
import { recordEvent } from "../state/events.ts";
import { deleteUnusedVolume, findVolume, isPlugin } from "../state/volumes.ts";
import type { Engine } from "./engine.ts";
import { collectImageGarbage, discard, emptyTrash } from "./garbage.ts";

/**
 * Removes these volumes, but for those that a container uses by now. Gives the names of what is gone.
 *
 * @param failed is told of a volume that its plugin does not give up; without it that is thrown, and the rest stays
 */
export async function removeUnusedVolumes(
  engine: Engine,
  names: readonly string[],
  failed?: (error: unknown) => void,
): Promise<string[]> {
  const db = await engine.database();
  const removed: string[] = [];
  for (const name of names) {
    const row = findVolume(db, name);
    if (row && isPlugin(row.driver)) {
      const { removePluginVolume } = await import("./volume_plugins/volumes.ts");
      try {
        if (!await removePluginVolume(engine, row)) continue;
      } catch (error) {
        if (!failed) throw error;
        failed(error);
        continue;
      }
      recordEvent(engine.folders, { type: "volume", action: "remove", id: name, name });
      removed.push(name);
      continue;
    }
    const isGone = await db.transaction(() => {
      if (!deleteUnusedVolume(db, name)) return false;
      // before the commit: who is killed here leaves a row without a folder, which the next removal finds
      discard(engine, `${engine.folders.volumes}/${name}`);
      return true;
    });
    if (!isGone) continue;
    recordEvent(engine.folders, { type: "volume", action: "remove", id: name, name });
    removed.push(name);
  }
  await emptyTrash(engine);
  return removed;
}

/** Removes these images with all their names, but for those that a container uses by now. Gives their ids. */
export async function removeUnusedImages(engine: Engine, ids: readonly string[]): Promise<string[]> {
  const db = await engine.database();
  const removed: string[] = [];
  for (const id of ids) {
    try {
      const { untagged, deleted } = await removeImage(db, `sha256:${id}`, true);
      for (const name of untagged) recordEvent(engine.folders, { type: "image", action: "untag", id, name });
      recordEvent(engine.folders, { type: "image", action: "remove", id, name: untagged[0] ?? id });
      removed.push(...deleted);
    } catch (error) {
      if (!(error instanceof ConflictError || error instanceof NotFoundError)) throw error;
    }
  }
  await collectImageGarbage(engine);
  return removed;
}

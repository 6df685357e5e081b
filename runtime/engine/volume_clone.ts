/** `volume clone`: another volume with the same content, which shares its blocks where the file system can. */

import { ConflictError } from "../errors.ts";
import { recordEvent } from "../state/events.ts";
import { putVolume } from "../state/volumes.ts";
import { checkVolumeName, hasChosenOwner, OWNER_MARK, volumePath } from "../storage/volumes.ts";
import { fillFrom, placeTree, writeBeside } from "../files/volume_trees.ts";
import { timestamp } from "./clock.ts";
import type { Engine } from "./engine.ts";
import { discard } from "./garbage.ts";
import { checkSame, readableContent, withStagedTree } from "./volume_content.ts";
import { planOf } from "./volume_options.ts";

export interface VolumeCloneOptions {
  /** Besides those of the source. */
  labels?: Record<string, string>;
  signal?: AbortSignal;
}

/**
 * Makes the volume `name` of `source`, a volume or a snapshot (`VOLUME@NAME`). It is there whole or not at all.
 *
 * Containers may work in the source: each file is what it was at some moment of the copy.
 */
export async function volumeClone(
  engine: Engine,
  source: string,
  name: string,
  options: VolumeCloneOptions = {},
): Promise<string> {
  checkVolumeName(name);
  const what = `clone volume "${source}"`;
  const db = await engine.database();
  const { row, path, identity } = readableContent(engine, db, source, what);
  if (identity === undefined) throw new ConflictError(`${what}: its folder is not there`);
  const plan = planOf(engine, row);
  const staging = { signal: options.signal, quota: plan.quota };
  await withStagedTree(engine, what, fillFrom(path), staging, async (staged) => {
    if (hasChosenOwner(volumePath(engine.folders, row.name))) writeBeside(staged, OWNER_MARK, "");
    await db.transaction(() => {
      checkSame(path, identity, what);
      const clone = {
        name,
        createdAt: timestamp(),
        labels: { ...row.labels, ...options.labels },
        anonymous: false,
        // its owner and limits; a folder of the host's is copied, and not shared
        options: plan.device === undefined ? row.options : {},
        driver: row.driver,
      };
      if (!putVolume(db, clone)) {
        throw new ConflictError(`volume with name ${name} already exists: volume already exists`);
      }
      const folder = `${engine.folders.volumes}/${name}`;
      // of who was killed right here
      discard(engine, folder);
      placeTree(staged, folder);
    });
  });
  recordEvent(engine.folders, { type: "volume", action: "create", id: name, name });
  return name;
}

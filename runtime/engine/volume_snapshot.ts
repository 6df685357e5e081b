/** `volume snapshot` and `volume restore`: keeps what a volume holds, and goes back to it. */

import { isThere } from "../state/listing.ts";
import { ConflictError, InvalidArgumentError, NotFoundError } from "../errors.ts";
import { recordEvent } from "../state/events.ts";
import { volumePath } from "../storage/volumes.ts";
import { fillFrom, folderIdentity, placeTree, syncFolder, writeBeside } from "../files/volume_trees.ts";
import { timestamp } from "./clock.ts";
import type { Engine } from "./engine.ts";
import { discard, emptyTrash } from "./garbage.ts";
import {
  checkSame,
  checkUnused,
  contentOf,
  ownContentOf,
  replaceContent,
  withStagedTree,
} from "./volume_content.ts";
import { planOf } from "./volume_options.ts";
import { findVolumeRow } from "./volume_row.ts";
import { parseSnapshotName, snapshotContent, snapshotsOf } from "./volume_snapshots.ts";

/** Keeps what `VOLUME[@NAME]` holds now, by default under the time. Gives `VOLUME@NAME`. */
export async function volumeSnapshot(engine: Engine, text: string, signal?: AbortSignal): Promise<string> {
  const asked = parseSnapshotName(text);
  const what = `snapshot volume "${text}"`;
  const db = await engine.database();
  const row = findVolumeRow(db, asked.volume);
  const createdAt = timestamp();
  const snapshot = asked.snapshot ?? createdAt.slice(0, 23).replaceAll(":", "-");
  const name = `${row.name}@${snapshot}`;
  const path = contentOf(engine, row, what);
  const identity = folderIdentity(path);
  await withStagedTree(engine, what, fillFrom(path), { signal }, async (staged) => {
    writeBeside(staged, "snapshot.json", JSON.stringify({ createdAt }));
    await db.transaction(() => {
      findVolumeRow(db, row.name);
      checkSame(path, identity, what);
      const all = snapshotsOf(engine, row.name);
      if (isThere(`${all}/${snapshot}`)) {
        throw new ConflictError(`${what}: there is a snapshot "${name}" already`);
      }
      Deno.mkdirSync(all, { recursive: true, mode: 0o755 });
      placeTree(staged, `${all}/${snapshot}`);
      syncFolder(all.slice(0, all.lastIndexOf("/")));
    });
  });
  recordEvent(engine.folders, {
    type: "volume",
    action: "snapshot",
    id: row.name,
    name: row.name,
    attributes: { snapshot },
  });
  return name;
}

/** Gives the volume of `VOLUME@NAME` what it held then; the snapshot stays. */
export async function volumeRestore(engine: Engine, text: string, signal?: AbortSignal): Promise<string> {
  const { volume, snapshot } = parseSnapshotName(text);
  if (snapshot === undefined) throw new InvalidArgumentError(`restore "${text}": want VOLUME@SNAPSHOT`);
  const what = `restore volume "${text}"`;
  const db = await engine.database();
  const { name } = findVolumeRow(db, volume);
  const path = snapshotContent(engine, name, snapshot);
  const identity = folderIdentity(path);
  if (identity === undefined) throw noSuch(`${name}@${snapshot}`);
  // said before anything is copied
  const row = findVolumeRow(db, name);
  ownContentOf(engine, row, what);
  checkUnused(engine, db, name, what);
  const { quota } = planOf(engine, row);
  const options = { signal, quota, replaces: volumePath(engine.folders, name) };
  await withStagedTree(engine, what, fillFrom(path), options, async (staged) => {
    checkSame(path, identity, what);
    await replaceContent(engine, name, staged, { what });
  });
  recordEvent(engine.folders, {
    type: "volume",
    action: "restore",
    id: name,
    name,
    attributes: { snapshot },
  });
  return name;
}

/** Removes the snapshot `VOLUME@NAME`. */
export async function volumeSnapshotRm(engine: Engine, text: string): Promise<string> {
  const { volume, snapshot } = parseSnapshotName(text);
  const { name } = findVolumeRow(await engine.database(), volume);
  const full = `${name}@${snapshot}`;
  if (!discard(engine, `${snapshotsOf(engine, name)}/${snapshot}`)) throw noSuch(full);
  await emptyTrash(engine);
  return full;
}

function noSuch(name: string): NotFoundError {
  return new NotFoundError("volume", name, { message: `no snapshot "${name}" found: no such volume` });
}

/**
 * A volume's content as a whole: who may replace it, and where it lies. Copies are made beside the volume; what puts one
 * in its place is one rename within the transaction that has seen nobody work there.
 */

import { isHeld } from "../container/state.ts";
import { ConflictError, NotFoundError, UnsupportedError } from "../errors.ts";
import { findContainer } from "../state/containers.ts";
import type { Database } from "../state/db.ts";
import { isPlugin, listVolumeUses, type VolumeRow } from "../state/volumes.ts";
import type { VolumeQuota } from "../storage/volume_quota.ts";
import { volumePath } from "../storage/volumes.ts";
import {
  exchangeTree,
  folderIdentity,
  type StagedTree,
  type StageOptions,
  stageTree,
} from "../files/volume_trees.ts";
import type { Engine } from "./engine.ts";
import { emptyTrash } from "./garbage.ts";
import { planOf } from "./volume_options.ts";
import { findVolumeRow } from "./volume_row.ts";
import { parseSnapshotName, snapshotContent } from "./volume_snapshots.ts";

/**
 * The folder with the content of a volume, for reading.
 *
 * @throws {UnsupportedError} where it has none that lasts: a file system of those who use it
 */
export function contentOf(engine: Engine, row: VolumeRow, what: string): string {
  if (isPlugin(row.driver)) {
    throw new UnsupportedError(`${what}: the plugin "${row.driver}" keeps its content`, {
      hint: `skiff volume mount ${row.name} gives the folder`,
    });
  }
  const { filesystem } = planOf(engine, row);
  if (filesystem !== undefined) {
    throw new UnsupportedError(
      `${what}: it is a file system of type "${filesystem.type}", which only its containers have`,
      { hint: "skiff cp CONTAINER:PATH copies what is in it" },
    );
  }
  return volumePath(engine.folders, row.name);
}

/**
 * What `VOLUME[@SNAPSHOT]` names, for reading; `identity` is undefined where a volume has no folder yet.
 *
 * @throws {NotFoundError} where there is no such volume or snapshot
 */
export function readableContent(
  engine: Engine,
  db: Database,
  text: string,
  what: string,
): { row: VolumeRow; path: string; identity: string | undefined } {
  const { volume, snapshot } = parseSnapshotName(text);
  const row = findVolumeRow(db, volume);
  const path = snapshot === undefined
    ? contentOf(engine, row, what)
    : snapshotContent(engine, row.name, snapshot);
  const identity = folderIdentity(path);
  if (identity === undefined && snapshot !== undefined) throw new NotFoundError("volume", text);
  return { row, path, identity };
}

/** As `contentOf` for a volume whose content is to be replaced: it must lie in a folder of its own. */
export function ownContentOf(engine: Engine, row: VolumeRow, what: string): string {
  const path = contentOf(engine, row, what);
  const { device } = planOf(engine, row);
  if (device !== undefined) {
    throw new UnsupportedError(`${what}: its content is the folder "${device}" of this machine`);
  }
  return path;
}

/** @throws {ConflictError} where a container runs with the volume, or is about to. To be called in a transaction. */
export function checkUnused(engine: Engine, db: Database, name: string, what: string): void {
  for (const { containerId, volume } of listVolumeUses(db)) {
    // a start takes the lock before its own transaction, and looks at the volume after it
    if (volume !== name || !isHeld(engine.containerDir(containerId))) continue;
    const user = findContainer(db, containerId)?.name ?? containerId;
    throw new ConflictError(`${what}: container "${user}" runs with it`, {
      hint: `stop it first: skiff stop ${user}`,
    });
  }
}

/**
 * Makes a tree and hands it to `use`; what is left of it then goes. With `replaces` it is to change places with that
 * content of a volume. `quota` limits it already while it is filled.
 */
export async function withStagedTree<T>(
  engine: Engine,
  what: string,
  fill: (tree: number) => T,
  { quota, ...options }: StageOptions & { quota?: VolumeQuota },
  use: (staged: StagedTree) => Promise<void>,
): Promise<T> {
  try {
    const quotas = quota && await import("../storage/volume_quota.ts");
    const fillLimited = (tree: number) => {
      if (quota) {
        quotas!.limitFolder(tree, quota);
        quotas!.obeyQuotas();
      }
      return fill(tree);
    };
    const { staged, result } = await stageTree(engine, what, fillLimited, options);
    using _staged = staged;
    await use(staged);
    return result;
  } finally {
    await emptyTrash(engine);
  }
}

/** Puts the tree in the place of the volume's content. `former`: what that was when the work began, where it matters. */
export async function replaceContent(
  engine: Engine,
  name: string,
  staged: StagedTree,
  { what, former }: { what: string; former?: string },
): Promise<void> {
  const db = await engine.database();
  await db.transaction(() => {
    const row = findVolumeRow(db, name);
    const path = ownContentOf(engine, row, what);
    checkUnused(engine, db, row.name, what);
    if (former !== undefined) checkSame(path, former, what);
    exchangeTree(staged, path);
  });
}

/** To be called in the last transaction of who has read a volume: nobody has replaced or removed it meanwhile. */
export function checkSame(path: string, identity: string | undefined, what: string): void {
  if (identity !== undefined && folderIdentity(path) === identity) return;
  throw new ConflictError(`${what}: it was replaced or removed meanwhile`);
}

/** `volume rename`: another name for a volume, whose containers go on with it. */

import { ConflictError, UnsupportedError } from "../errors.ts";
import { findContainer } from "../state/containers.ts";
import { recordEvent } from "../state/events.ts";
import { findVolume, isPlugin, listVolumeUses, putVolume, replaceVolume } from "../state/volumes.ts";
import { syncFolder } from "../files/volume_trees.ts";
import { checkVolumeName, hasVolume } from "../storage/volumes.ts";
import { loadConfig } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { findVolumeRow } from "./volume_row.ts";

/**
 * Renames a volume. A container that runs has its folder mounted and notices nothing; the others find it by the new
 * name in their configs.
 *
 * Both rows are there while the folder moves: a folder without a row would be taken for garbage. Who is killed in
 * between is helped by the same command again.
 */
export async function volumeRename(engine: Engine, text: string, name: string): Promise<void> {
  checkVolumeName(name);
  const db = await engine.database();
  const row = findVolumeRow(db, text);
  const { folders } = engine;
  if (isPlugin(row.driver)) {
    throw new UnsupportedError(
      `rename volume "${row.name}": the plugin "${row.driver}" knows it by its name`,
    );
  }
  if (row.name === name) throw new ConflictError(`rename volume "${name}": that is its name already`);
  const isHalfDone = findVolume(db, name) !== undefined && !hasVolume(folders, row.name) &&
    hasVolume(folders, name);
  if (!isHalfDone) {
    await db.transaction(() => {
      if (putVolume(db, { ...row, name, anonymous: false })) return;
      throw new ConflictError(`rename volume "${row.name}": the volume name "${name}" is already in use`);
    });
    if (hasVolume(folders, row.name)) {
      Deno.renameSync(`${folders.volumes}/${row.name}`, `${folders.volumes}/${name}`);
      syncFolder(folders.volumes);
    }
  }
  await db.transaction(() => {
    // nobody can come to use the old name in between: his container would start with a folder that no row keeps
    for (const { containerId, volume } of listVolumeUses(db)) {
      if (volume !== row.name || !findContainer(db, containerId)) continue;
      renameInConfig(engine, containerId, row.name, name);
    }
    replaceVolume(db, row.name, name);
  });
  recordEvent(folders, {
    type: "volume",
    action: "rename",
    id: name,
    name,
    attributes: { oldName: row.name },
  });
}

function renameInConfig(engine: Engine, id: string, from: string, to: string): void {
  const config = loadConfig(engine, id);
  const mounts = config.mounts.map((mount) =>
    mount.kind === "volume" && mount.name === from ? { ...mount, name: to, anonymous: false } : mount
  );
  const dir = engine.containerDir(id);
  Deno.writeTextFileSync(`${dir}/config.json.tmp`, JSON.stringify({ ...config, mounts }), { mode: 0o600 });
  Deno.renameSync(`${dir}/config.json.tmp`, `${dir}/config.json`);
}

/** Volumes that a plugin keeps: made, removed, looked at, and found again. */

import { ConflictError } from "../../errors.ts";
import { recordEvent } from "../../state/events.ts";
import {
  deleteUnusedVolume,
  findVolume,
  listOrphanedVolumes,
  listVolumes,
  orphanVolume,
  putVolume,
  type VolumeRow,
} from "../../state/volumes.ts";
import { checkVolumeName } from "../../storage/volumes.ts";
import { timestamp } from "../clock.ts";
import type { Engine } from "../engine.ts";
import { discard } from "../garbage.ts";
import { activate, askPlugin } from "./client.ts";
import { findPlugin } from "./discovery.ts";
import { mountedBy, mountVolume, release, releaseEnded, tryRemoval } from "./mounts.ts";

/** The `ID` of what `volume mount` mounts. */
const OWN_ID = "volume-mount";

/** Asks the plugin for the volume, then writes its row. Whether there was none yet. */
export async function createPluginVolume(engine: Engine, row: VolumeRow): Promise<boolean> {
  const db = await engine.database();
  const address = findPlugin(row.driver);
  await activate(address);
  if (findVolume(db, row.name)) return false;
  await askPlugin(address, "VolumeDriver.Create", { Name: row.name, Opts: row.options });
  const isNew = await db.transaction(() => putVolume(db, row));
  if (isNew) recordEvent(engine.folders, { type: "volume", action: "create", id: row.name, name: row.name });
  return isNew;
}

/** Whether it is gone; false where a container uses it. What the plugin does not give up keeps its row. */
export async function removePluginVolume(engine: Engine, row: VolumeRow): Promise<boolean> {
  const db = await engine.database();
  const address = findPlugin(row.driver);
  await releaseEnded(engine.folders);
  const isOrphan = listOrphanedVolumes(db).some(({ name }) => name === row.name);
  if (!await db.transaction(() => deleteUnusedVolume(db, row.name))) return false;
  try {
    if (mountedBy(engine.folders, row.name).length > 0) {
      throw new ConflictError(`remove volume "${row.name}": it is mounted`, {
        hint: `skiff volume unmount ${row.name}`,
      });
    }
    await askPlugin(address, "VolumeDriver.Remove", { Name: row.name });
  } catch (error) {
    await db.transaction(() => {
      putVolume(db, row);
      if (isOrphan) orphanVolume(db, row.name);
    });
    throw error;
  }
  discard(engine, `${engine.folders.volumes}/${row.name}`);
  return true;
}

/** Of containers that were removed with their anonymous volumes; a plugin that does not answer is asked again. */
export async function removeOrphans(engine: Engine, orphans: readonly VolumeRow[]): Promise<void> {
  for (const row of orphans) {
    await tryRemoval(engine.folders, row.name, () => removePluginVolume(engine, row));
  }
}

/** What the plugin tells of a volume; nothing where it cannot be asked. */
export async function describePluginVolume(row: VolumeRow): Promise<{
  Mountpoint: string;
  Scope: string;
  Status?: Record<string, unknown>;
}> {
  try {
    const address = findPlugin(row.driver);
    const { Volume } = await askPlugin(address, "VolumeDriver.Get", { Name: row.name });
    // of those that came before it nobody speaks of capabilities
    const { Capabilities } = await askPlugin(address, "VolumeDriver.Capabilities").catch(() => ({
      Capabilities: undefined,
    }));
    const Scope = Capabilities?.Scope === "global" ? "global" : "local";
    return { Mountpoint: Volume.Mountpoint ?? "", Scope, ...(Volume.Status && { Status: Volume.Status }) };
  } catch {
    return { Mountpoint: "", Scope: "local" };
  }
}

/** Where the plugin has the volume for this command, until it is unmounted. */
export async function mountForCaller(engine: Engine, row: VolumeRow): Promise<string> {
  return await mountVolume(engine.folders, row.name, findPlugin(row.driver), OWN_ID);
}

export async function unmountForCaller(engine: Engine, row: VolumeRow): Promise<void> {
  await release(engine.folders, OWN_ID, row.name);
}

/** Takes the volumes that plugins have and skiff does not know, and forgets those that are gone there and unused. */
export async function reloadPluginVolumes(
  engine: Engine,
  drivers: readonly string[],
): Promise<{ added: string[]; removed: string[]; errors: unknown[] }> {
  const db = await engine.database();
  const added: string[] = [], removed: string[] = [], errors: unknown[] = [];
  await releaseEnded(engine.folders);
  for (const driver of drivers) {
    try {
      const address = findPlugin(driver);
      await activate(address);
      const { Volumes } = await askPlugin(address, "VolumeDriver.List");
      const names = new Set((Volumes ?? []).map(({ Name }) => checkVolumeName(Name)));
      for (const name of names) {
        const row = { name, createdAt: timestamp(), labels: {}, anonymous: false, driver };
        if (await db.transaction(() => putVolume(db, row))) added.push(name);
      }
      for (const row of listVolumes(db)) {
        if (row.driver !== driver || names.has(row.name)) continue;
        if (!await db.transaction(() => deleteUnusedVolume(db, row.name))) continue;
        discard(engine, `${engine.folders.volumes}/${row.name}`);
        removed.push(row.name);
      }
    } catch (error) {
      errors.push(error);
    }
  }
  return { added: added.sort(), removed: removed.sort(), errors };
}

/** `volume mount`, `volume unmount` and `volume reload`. */

import { isPlugin, listVolumes } from "../state/volumes.ts";
import { createVolume } from "../storage/volumes.ts";
import type { Engine } from "./engine.ts";
import { contentOf } from "./volume_content.ts";
import { findVolumeRow } from "./volume_row.ts";

/** The folder with a volume's content; a plugin is asked to mount it, until `volumeUnmount`. */
export async function volumeMount(engine: Engine, text: string): Promise<string> {
  const row = findVolumeRow(await engine.database(), text);
  if (isPlugin(row.driver)) {
    const { mountForCaller } = await import("./volume_plugins/volumes.ts");
    return await mountForCaller(engine, row);
  }
  const path = contentOf(engine, row, `mount volume "${row.name}"`);
  createVolume(engine.folders, row.name);
  return path;
}

/** Gives the name; one that is not mounted is no error. */
export async function volumeUnmount(engine: Engine, text: string): Promise<string> {
  const row = findVolumeRow(await engine.database(), text);
  if (isPlugin(row.driver)) {
    const { unmountForCaller } = await import("./volume_plugins/volumes.ts");
    await unmountForCaller(engine, row);
  } else contentOf(engine, row, `unmount volume "${row.name}"`);
  return row.name;
}

/** Brings skiff's list of volumes in line with those of the plugins. */
export async function volumeReload(
  engine: Engine,
): Promise<{ added: string[]; removed: string[]; errors: unknown[] }> {
  const [{ reloadPluginVolumes }, { listPlugins }] = await Promise.all([
    import("./volume_plugins/volumes.ts"),
    import("./volume_plugins/discovery.ts"),
  ]);
  const used = listVolumes(await engine.database()).map(({ driver }) => driver);
  const drivers = new Set([...listPlugins(), ...used].filter(isPlugin));
  return await reloadPluginVolumes(engine, [...drivers].sort());
}

/**
 * What plugins have mounted for which container, so that each mount is taken back once, whoever ends how.
 *
 * ```
 *  volume-mounts/<container id>.<volume>     the plugin's address; written before Mount, removed after Unmount
 *                .lock-<volume>              held while one of both is asked
 *  volumes/<volume>/_data                    a link to where the plugin has mounted it, while somebody uses it
 * ```
 * The monitor starts skiff again when its container has ended (`__release_volumes`); where the monitor was killed, or
 * the plugin did not answer, the next command does it.
 */

import { isThere, namesIn } from "../../state/listing.ts";
import { inspectLock, takeLock } from "../../state/locks.ts";
import type { Folders } from "../../state/folders.ts";
import { HostError, SkiffError } from "../../errors.ts";
import type { ContainerConfig } from "../../container/config.ts";
import { lockPath } from "../../container/state.ts";
import type { EndProgram } from "../../monitor/plan.ts";
import { volumePath } from "../../storage/volumes.ts";
import { endProgram } from "../end_program.ts";
import type { Engine } from "../engine.ts";
import { activate, askPlugin, PluginRefusal } from "./client.ts";
import { findPlugin, type PluginAddress } from "./discovery.ts";
import { checkMountpoint } from "./mountpoint.ts";

/** A plugin that could not be asked is not asked again before that. */
const RETRY_MS = 60_000;

/** Mounts the volumes of plugins that a container has, and gives what is to be started when it ends. */
export async function mountPluginVolumes(engine: Engine, config: ContainerConfig): Promise<EndProgram> {
  const drivers = new Map(
    config.mounts.flatMap((mount) =>
      mount.kind === "volume" && mount.driver ? [[mount.name, mount.driver]] : []
    ),
  );
  try {
    for (const [name, driver] of drivers) {
      await mountVolume(engine.folders, name, findPlugin(driver), config.id);
    }
  } catch (error) {
    for (const name of drivers.keys()) await release(engine.folders, config.id, name).catch(() => {});
    throw error;
  }
  return endProgram(engine.folders, "__release_volumes");
}

/** Asks the plugin to mount a volume for `id`, and gives the folder. */
export async function mountVolume(
  folders: Folders,
  name: string,
  address: PluginAddress,
  id: string,
): Promise<string> {
  using _lock = await lockVolume(folders, name);
  const record = recordPath(folders, id, name);
  await activate(address);
  // of a run that was killed
  if (isThere(record)) {
    await askPlugin(address, "VolumeDriver.Unmount", { Name: name, ID: id }).catch(ignoreRefusal);
  }
  Deno.writeTextFileSync(record, JSON.stringify(address), { mode: 0o600 });
  const { Mountpoint } = await askPlugin(address, "VolumeDriver.Mount", { Name: name, ID: id });
  const folder = checkMountpoint(folders, address.name, Mountpoint);
  linkContent(folders, name, folder);
  return folder;
}

/** Takes back what was mounted for containers that have ended; what cannot be, stays for the next command. */
export async function releaseEnded(folders: Folders): Promise<void> {
  for (const { id, name, path } of listMounts(folders)) {
    const tried = triedPath(folders, id, name);
    if (!isOfContainer(id) || isLiving(folders, id) || wasTriedLately(tried)) continue;
    try {
      await release(folders, id, name, () => !isLiving(folders, id));
    } catch (error) {
      if (!(error instanceof SkiffError)) throw error;
      if (isThere(path)) Deno.writeTextFileSync(tried, "");
    }
  }
}

/** Removes a volume that nobody uses any more, unless the plugin could not be asked a moment ago. */
export async function tryRemoval(
  folders: Folders,
  name: string,
  remove: () => Promise<unknown>,
): Promise<void> {
  const tried = triedPath(folders, "removal", name);
  if (wasTriedLately(tried)) return;
  try {
    await remove();
    if (isThere(tried)) Deno.removeSync(tried);
  } catch (error) {
    if (!(error instanceof SkiffError)) throw error;
    Deno.mkdirSync(folderOf(folders), { recursive: true, mode: 0o700 });
    Deno.writeTextFileSync(tried, "");
  }
}

/** Takes back one mount, where there is one. */
export async function release(
  folders: Folders,
  id: string,
  name: string,
  condition: () => boolean = () => true,
): Promise<void> {
  const path = recordPath(folders, id, name);
  if (!isThere(path)) return;
  using _lock = await lockVolume(folders, name);
  if (!isThere(path) || !condition()) return;
  const address: PluginAddress = JSON.parse(Deno.readTextFileSync(path));
  await askPlugin(address, "VolumeDriver.Unmount", { Name: name, ID: id }).catch(ignoreRefusal);
  if (!listMounts(folders).some((other) => other.name === name && other.id !== id)) {
    unlinkContent(folders, name);
  }
  for (const file of [path, triedPath(folders, id, name)]) if (isThere(file)) Deno.removeSync(file);
}

/** How many have the volume mounted, by the ids that they gave. */
export function mountedBy(folders: Folders, name: string): string[] {
  return listMounts(folders).filter((mount) => mount.name === name).map(({ id }) => id);
}

function listMounts(folders: Folders): { id: string; name: string; path: string }[] {
  return namesIn(folderOf(folders)).filter((file) => !file.startsWith(".")).map((file) => {
    const at = file.indexOf(".");
    return { id: file.slice(0, at), name: file.slice(at + 1), path: `${folderOf(folders)}/${file}` };
  });
}

/** `volume mount` mounts for itself, until `volume unmount`. */
function isOfContainer(id: string): boolean {
  return /^[0-9a-f]{64}$/.test(id);
}

function isLiving(folders: Folders, id: string): boolean {
  const asked = inspectLock(lockPath(`${folders.containers}/${id}`));
  if (asked.state === "free") asked.lock[Symbol.dispose]();
  return asked.state === "held";
}

function wasTriedLately(path: string): boolean {
  try {
    return Date.now() - Deno.statSync(path).mtime!.getTime() < RETRY_MS;
  } catch {
    return false;
  }
}

function linkContent(folders: Folders, name: string, target: string): void {
  const data = volumePath(folders, name);
  const fresh = `${data}-${crypto.randomUUID()}`;
  Deno.mkdirSync(data.slice(0, data.lastIndexOf("/")), { recursive: true, mode: 0o755 });
  Deno.symlinkSync(target, fresh);
  try {
    Deno.renameSync(fresh, data);
  } catch (cause) {
    Deno.removeSync(fresh);
    throw new HostError(`mount volume "${name}": ${(cause as Error).message}`, { cause });
  }
}

function unlinkContent(folders: Folders, name: string): void {
  const data = volumePath(folders, name);
  try {
    if (Deno.lstatSync(data).isSymlink) Deno.removeSync(data);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** A plugin that knows of no such mount has nothing to take back. */
function ignoreRefusal(error: unknown): void {
  if (!(error instanceof PluginRefusal)) throw error;
}

async function lockVolume(folders: Folders, name: string) {
  Deno.mkdirSync(folderOf(folders), { recursive: true, mode: 0o700 });
  return (await takeLock(`${folderOf(folders)}/.lock-${name}`))!;
}

function folderOf({ data }: Folders): string {
  return `${data}/volume-mounts`;
}

function recordPath(folders: Folders, id: string, name: string): string {
  return `${folderOf(folders)}/${id}.${name}`;
}

/** The mark of an attempt. */
function triedPath(folders: Folders, id: string, name: string): string {
  return `${folderOf(folders)}/.tried-${id}.${name}`;
}

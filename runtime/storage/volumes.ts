/**
 * The folders of volumes: `volumes/<name>/_data`, made at first use. The rows are state's.
 *
 * Removal renames first, so that a name is free at once and a volume is there whole or not at all.
 */

import { InvalidArgumentError, NotFoundError } from "../errors.ts";
import { randomId } from "../state/ids.ts";
import type { Folders } from "../state/folders.ts";
import type { StorageContext } from "./layers.ts";

/** NAME_MAX. */
const MAX_NAME = 255;

/** A file beside the content of a volume whose owner was chosen when it was made. */
export const OWNER_MARK = "owner-chosen";

/** `volume create -o o=uid=…`: then neither the image's folder nor the program's user changes it. */
export function hasChosenOwner(data: string): boolean {
  try {
    Deno.lstatSync(data.replace(/_data$/, OWNER_MARK));
    return true;
  } catch {
    return false;
  }
}

/** @throws {InvalidArgumentError} for what cannot name a volume, as docker and podman rule it */
export function checkVolumeName(name: string): string {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) {
    throw new InvalidArgumentError(
      `name volume ${JSON.stringify(name)}: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*`,
    );
  }
  if (name.length > MAX_NAME) {
    throw new InvalidArgumentError(
      `name volume "${name.slice(0, 20)}...": a name has at most ${MAX_NAME} characters`,
    );
  }
  return name;
}

/** Where a volume's content lies, whether it is there or not. */
export function volumePath(folders: Folders, name: string): string {
  return `${folders.volumes}/${checkVolumeName(name)}/_data`;
}

export function hasVolume(folders: Folders, name: string): boolean {
  try {
    const { isDirectory, isSymlink } = Deno.lstatSync(volumePath(folders, name));
    return isDirectory || isSymlink;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Makes the volume's folder where missing (two first users may do so at once). Whether it was missing. With `device`
 * it is a link to that folder of the host: a removal takes the link away, and nothing else.
 */
export function createVolume(folders: Folders, name: string, device?: string): boolean {
  const data = volumePath(folders, name);
  makeFolder(data.slice(0, data.lastIndexOf("/")), 0o755);
  if (device === undefined) return makeFolder(data, 0o755);
  Deno.symlinkSync(device, data);
  return true;
}

/** A volume without a name of its own: 64 hex digits, as docker gives it. */
export function createAnonymousVolume(folders: Folders): string {
  const name = randomId();
  createVolume(folders, name);
  return name;
}

/**
 * Not only the container that an anonymous volume was made for uses it: seen by the monitor of a container of `--rm`,
 * which removes its anonymous volumes without asking the database.
 */
export function markShared(folders: Folders, name: string): void {
  const folder = `${folders.volumes}/${checkVolumeName(name)}`;
  makeFolder(folder, 0o755);
  Deno.writeTextFileSync(`${folder}/shared`, "");
}

/** Names of the volumes whose folders are there, sorted. */
export function listVolumeFolders(folders: Folders): string[] {
  const names: string[] = [];
  for (const entry of Deno.readDirSync(folders.volumes)) {
    if (entry.isDirectory && !entry.name.startsWith(".")) names.push(entry.name);
  }
  return names.sort();
}

/**
 * Removes volumes with their content, which other ids of the user may own. The caller knows that no container
 * uses them.
 *
 * @throws {NotFoundError} for the first that is not there; those before it are removed
 */
export async function removeVolumes(context: StorageContext, names: readonly string[]): Promise<void> {
  const trash: string[] = [];
  let missing: NotFoundError | undefined;
  for (const name of names) {
    const path = `${context.folders.volumes}/${checkVolumeName(name)}`;
    const moved = `${context.folders.volumes}/.removed-${crypto.randomUUID()}`;
    try {
      Deno.renameSync(path, moved);
      trash.push(moved);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      missing = new NotFoundError("volume", name);
      break;
    }
  }
  await emptyTrash(context, trash);
  if (missing !== undefined) throw missing;
}

/** Removes what a removal that was killed left behind. */
export async function removeAbandonedVolumes(context: StorageContext): Promise<void> {
  const trash: string[] = [];
  for (const entry of Deno.readDirSync(context.folders.volumes)) {
    if (entry.name.startsWith(".removed-")) trash.push(`${context.folders.volumes}/${entry.name}`);
  }
  await emptyTrash(context, trash);
}

async function emptyTrash(context: StorageContext, trash: readonly string[]): Promise<void> {
  if (trash.length === 0) return;
  const { removeInNamespace } = await import("./removal.ts");
  await removeInNamespace(context, trash);
}

/** Whatever the umask. Whether it was made. */
function makeFolder(path: string, mode: number): boolean {
  try {
    Deno.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
  Deno.chmodSync(path, mode);
  return true;
}

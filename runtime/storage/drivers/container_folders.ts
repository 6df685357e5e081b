/** The folders that overlay drivers need below `containers/<id>`: upper, work and the mount point. */

import { SkiffError } from "../../errors.ts";
import { type Digest, digestHex } from "../../spec/digest.ts";
import type { LayerForm, StorageContext } from "../layers.ts";
import { IMPLIED_ROOT_MTIME, layerPath } from "../layers.ts";
import type { NestedMaps } from "../layer_copy.ts";
import type { LazyLayers } from "./driver.ts";
import { isSuspect } from "../unsynced.ts";

export interface ContainerFolders {
  lower: string[];
  upper: string;
  work: string;
  target: string;
}

/**
 * Makes upper, work and merged. The upper folder is the container's `/`, so it gets mode and owner of the
 * root of the topmost layer that has an entry for it; `mapped` is how the layers' ids are shown.
 */
export async function makeContainerFolders(
  context: StorageContext,
  containerDir: string,
  layers: readonly Digest[],
  form: LayerForm,
  lazy?: LazyLayers,
  mapped?: NestedMaps,
): Promise<ContainerFolders> {
  const folders: ContainerFolders = {
    lower: layers.map((diffId) =>
      lazy?.folders.get(diffId)?.path ?? layerPath(context.folders, diffId, form)
    ),
    upper: `${containerDir}/upper`,
    work: `${containerDir}/work`,
    target: `${containerDir}/merged`,
  };
  makeFolder(folders.target, 0o755);
  makeFolder(folders.work, 0o700);
  if (layers.length === 0) {
    // An image without layers still needs something below: overlay refuses to have no lower folder.
    folders.lower.push(`${containerDir}/empty`);
    makeFolder(`${containerDir}/empty`, 0o755);
  }
  let root: { path: string; info: Deno.FileInfo } | undefined;
  let lazyMode: number | undefined;
  folders.lower.forEach((path, index) => {
    const served = lazy?.folders.get(layers[index]!);
    if (served !== undefined) {
      if (root === undefined) lazyMode ??= served.rootMode;
      return;
    }
    const info = statLayer(path, layers[index]);
    if (root === undefined && info.mtime?.getTime() !== IMPLIED_ROOT_MTIME * 1000) root = { path, info };
  });
  // Without an entry the owner is root all the same, which is another id where the layers are shifted.
  const [lowest] = folders.lower;
  if (layers.length > 0 && lowest !== undefined && lazy === undefined) {
    root ??= { path: lowest, info: statLayer(lowest, layers[0]) };
  }
  if (lazyMode !== undefined) root = undefined; // and its owner is root
  const mode = (lazyMode ?? root?.info.mode ?? 0o755) & 0o7777;
  const isNew = makeFolder(folders.upper, mode);
  if (isNew && mapped) {
    const { giveMapped } = await import("./upper_owner.ts");
    giveMapped(folders.upper, root?.info, mapped);
  } else if (isNew && root !== undefined && !isOurs(root.info)) {
    const { copyOwner } = await import("./upper_owner.ts");
    await copyOwner(context, root.path, folders.upper);
  }
  return folders;
}

function statLayer(path: string, diffId: Digest | undefined): Deno.FileInfo {
  try {
    const info = Deno.lstatSync(path);
    if (diffId === undefined || !isSuspect(path)) return info;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const name = diffId === undefined ? path : `layer ${digestHex(diffId).slice(0, 12)}`;
  throw new SkiffError(`prepare root: ${name} is not unpacked`, { hint: "pull the image again" });
}

function isOurs(info: Deno.FileInfo): boolean {
  return info.uid === Deno.uid() && info.gid === Deno.gid();
}

/** Whatever the umask. False where it is there already. */
export function makeFolder(path: string, mode: number): boolean {
  try {
    Deno.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
  Deno.chmodSync(path, mode);
  return true;
}

/**
 * Unpacked layers: `layers/<diff-id hex>/<form>`, each there whole or not at all.
 *
 * A form is what the tree's ids and whiteouts are made for, as overlay file systems differ in both:
 *
 * ```
 * root     real root: ids as in the archive, trusted.overlay.* marks
 * full     the user's namespace with subordinate ids: ids as in the archive, user.overlay.* marks
 * single   the user's namespace with one id: everything is the user's, `single.owners` says what should be
 * <form>-<map>   one of these with its ids shifted for a nested user namespace (shifted_layers.ts)
 * <form>.files, <form>.partial    what is in it by digest; that its blob was not kept (file_index.ts)
 * <form>.bytes, <form>.unsynced   the size of the archive; that the disk may not have it all (unsynced.ts)
 * ```
 *
 * On the hot path: what unpacks is imported when a layer is unpacked.
 */

import type { NamespaceContext } from "../namespaces/context.ts";
import { type Digest, digestHex } from "../spec/digest.ts";
import type { Folders } from "../state/folders.ts";
import type { SplicePart } from "./splice.ts";
import { isSuspect } from "./unsynced.ts";

export type LayerForm = "root" | "full" | "single" | `${"root" | "full" | "single"}-${string}`;

/** What storage needs to know: where things are, and in which user namespace work is done. */
export interface StorageContext {
  folders: Folders;
  namespaces: NamespaceContext;
}

/** One layer to unpack. `digest` and `size` are of the blob, `diffId` of the archive in it. */
export interface LayerJob {
  digest: Digest;
  size: number;
  mediaType: string;
  diffId: Digest;
  /** The blob, or the partial file that a download lets grow. */
  blobFile: string;
  form: LayerForm;
  /** An archive larger than this, unpacked, is refused. */
  limitBytes: number;
  /** The file has pieces of the blob only (`size` bytes), and the archive is put together of these and others. */
  splice?: SplicePart[];
}

/**
 * The time (seconds since 1970) of a layer's root folder whose archive has no entry for it: its mode and owner
 * then mean nothing, and those of the next layer below hold.
 */
export const IMPLIED_ROOT_MTIME = 1_234_567;

/** 64 GiB: five times the largest images known, and still a bound for a bomb. */
export const DEFAULT_LAYER_LIMIT_BYTES = 64 * 2 ** 30;

/** An unpacking child that follows a growing file. */
export interface Extraction {
  /** So many bytes are in the file by now. Never blocks. */
  grow(totalBytes: number): void;
  /**
   * The file is complete: waits until the layer is in place.
   *
   * @throws {VerificationError} when size, digest, diff id or content are wrong; nothing is left behind
   * @throws the signal's reason, when the child has stopped for it and cleaned up
   */
  finish(signal?: AbortSignal): Promise<void>;
  /** The download failed: stops the child, which cleans up. Never throws. */
  abort(): Promise<void>;
}

export interface ExtractionOptions {
  /** How many bytes of the blob were unpacked so far. */
  onProgress?: (bytes: number) => void;
}

/** The form that images are unpacked in for this user. */
export function layerForm(namespaces: NamespaceContext): LayerForm {
  if (!namespaces.isRootless) return "root";
  return namespaces.maps.isSingle ? "single" : "full";
}

/** The folder of a layer in a form. */
export function layerPath(folders: Folders, diffId: Digest, form: LayerForm): string {
  return `${folders.layers}/${digestHex(diffId)}/${form}`;
}

export function hasLayer(folders: Folders, diffId: Digest, form: LayerForm): boolean {
  const path = layerPath(folders, diffId, form);
  try {
    return Deno.lstatSync(path).isDirectory && !isSuspect(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Bytes of a layer's archive, which is about what it takes unpacked; undefined where it is not known. */
export function layerBytes(folders: Folders, diffId: Digest, form: LayerForm): number | undefined {
  try {
    return Number(Deno.readTextFileSync(bytesFile(layerPath(folders, diffId, form))));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Holds `layerBytes` of the layer at `path`. */
export function bytesFile(path: string): string {
  return `${path}.bytes`;
}

/** Holds the owners that a single-id map cannot give (owners.ts), of the layer at `path`. */
export function ownersFile(path: string): string {
  return `${path}.owners`;
}

/** Forks a child that unpacks the layer while its blob is still coming. Several run side by side. */
export async function startExtraction(
  context: StorageContext,
  job: LayerJob,
  options: ExtractionOptions = {},
): Promise<Extraction> {
  const { forkExtraction } = await import("./extraction.ts");
  return await forkExtraction(context, job, options);
}

/** Removes a layer in all its forms; for images that are gone. */
export async function removeLayer(context: StorageContext, diffId: Digest): Promise<void> {
  const { removeInNamespace } = await import("./removal.ts");
  await removeInNamespace(context, [`${context.folders.layers}/${digestHex(diffId)}`]);
}

/**
 * Removes what unpacking children left that were killed (`*.tmp-*` that nobody holds locked). Cheap where
 * there is nothing; forks only where there is.
 */
export async function removeAbandonedLayers(context: StorageContext): Promise<void> {
  const { abandonedFolders, removeInNamespace } = await import("./removal.ts");
  const found = abandonedFolders(context.folders.layers);
  if (found.length > 0) await removeInNamespace(context, found);
}

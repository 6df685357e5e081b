/**
 * Layers that were pulled lazily: their table of contents is here, and of their content what somebody has read.
 *
 * ```
 * <data>/lazy/<layer digest hex>-<toc digest hex>/
 *   record.json        what the layer is, and where it is to be had
 *   part-<from>-<to>   the table, as it lies in the blob
 *   data, have         files' content, and a byte for each chunk: 1 where it was written (cache.ts)
 *   log                what went wrong when it was read
 * ```
 * Nothing of a layer can be checked against its diff id before all of it is here. So it is known by its digest and the
 * table's, both of which the image's manifest names, apart from `layers/`: what a manifest promises reaches containers of
 * that image only.
 */

import { estargzTocDigest } from "../../archive/toc/estargz.ts";
import { zstdChunkedTocDigest } from "../../archive/toc/zstd_chunked.ts";
import type { LayerToc } from "../../archive/toc/model.ts";
import { type Digest, digestHex } from "../../spec/digest.ts";
import type { Folders } from "../../state/folders.ts";
import { namesIn } from "../../state/listing.ts";

/** As its image's documents describe it. */
export interface LazyLayer {
  digest: Digest;
  size: number;
  mediaType: string;
  diffId: Digest;
  annotations?: Record<string, string>;
}

export interface LazyRecord {
  version: 1;
  layer: LazyLayer;
  /** The image in full: its repository has the layer. */
  from: string;
  tlsVerify?: boolean;
  authFile?: string;
  certDir?: string;
  /** Of the layer's root folder, where it has an entry. */
  rootMode?: number;
}

/** The name of a layer's folder; undefined where it has no table of contents. */
export function lazyKey(
  { digest, annotations }: Pick<LazyLayer, "digest" | "annotations">,
): string | undefined {
  const toc = zstdChunkedTocDigest(annotations) ?? estargzTocDigest(annotations);
  return toc === undefined ? undefined : `${digestHex(digest)}-${digestHex(toc)}`;
}

export function lazyFolder(folders: Folders, key: string): string {
  return `${folders.data}/lazy/${key}`;
}

export function readLazyRecord(folders: Folders, key: string): LazyRecord | undefined {
  try {
    const record: LazyRecord = JSON.parse(Deno.readTextFileSync(`${lazyFolder(folders, key)}/record.json`));
    return record.version === 1 ? record : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** The last thing of a lazy pull: from now on the layer counts as here. */
export async function writeLazyRecord(folders: Folders, key: string, record: LazyRecord): Promise<void> {
  const path = `${lazyFolder(folders, key)}/record.json`;
  const temporary = `${path}.${crypto.randomUUID()}`;
  // not the asynchronous one: the first of those brings the runtime's web streams along, for 16 ms
  Deno.writeTextFileSync(temporary, JSON.stringify(record), { mode: 0o600 });
  await sync(temporary);
  await Deno.rename(temporary, path);
  // the image's row will be on the disk, which is nothing without it
  for (const folder of [lazyFolder(folders, key), `${folders.data}/lazy`]) await sync(folder);
}

async function sync(path: string): Promise<void> {
  using file = await Deno.open(path, { read: true });
  await file.sync();
}

/**
 * Whether an image's layer is the one that a record describes. A manifest may give another's layer and table, whose
 * digests it knows, and say of them what is not so.
 */
export function isDescribedBy(layer: LazyLayer, { layer: known }: LazyRecord): boolean {
  const says = ({ size, mediaType, diffId, annotations = {} }: LazyLayer) =>
    JSON.stringify([size, mediaType, diffId, Object.entries(annotations).sort()]);
  return says(layer) === says(known);
}

/** All that there are. */
export function lazyRecords(folders: Folders): { key: string; record: LazyRecord }[] {
  return lazyKeys(folders).flatMap((key) => {
    const record = readLazyRecord(folders, key);
    return record === undefined ? [] : [{ key, record }];
  });
}

export function lazyKeys(folders: Folders): string[] {
  return namesIn(`${folders.data}/lazy`);
}

/** Whether a layer is here, if only by its table. */
export function isLazy(folders: Folders, digest: Digest): boolean {
  const hex = digestHex(digest);
  return lazyKeys(folders).some((key) =>
    key.startsWith(`${hex}-`) && readLazyRecord(folders, key) !== undefined
  );
}

/** A piece is unpacked in memory: larger ones than real packers make are not served lazily. */
const MAX_CHUNK_BYTES = 64 << 20;

/** Why a layer cannot be served from its table, as a sentence's end; undefined where it can. */
export function whyNotLazy({ entries }: LayerToc): string | undefined {
  const root = entries.find(({ name }) => name === "");
  if (root !== undefined && (root.uid !== 0 || root.gid !== 0)) return "its root folder has another owner";
  const isLarge = entries.some(({ chunks }) =>
    chunks.some(({ size, innerOffset, offset, end }) =>
      size > MAX_CHUNK_BYTES || innerOffset > MAX_CHUNK_BYTES || end - offset > MAX_CHUNK_BYTES
    )
  );
  return isLarge ? "a piece of it is too large" : undefined;
}

/**
 * Which files a layer has, by digest, so that a layer that is pulled later takes what it has too from the disk; and
 * where the whole blob of a layer came from that was put together so.
 *
 * ```
 * layers/<diff-id hex>/<form>.files     `<sha256 hex>:<size>:<path>` NUL, for each file worth it
 *                      <form>.partial   JSON: no blob was downloaded; where it is to be had
 * ```
 * What an index says is believed by nobody: a file that is taken is hashed.
 */

import { bytesOf, byteString } from "../archive/byte_string.ts";
import type { LayerToc } from "../archive/toc/model.ts";
import { type Digest, digestAlgorithm, digestHex } from "../spec/digest.ts";
import type { Folders } from "../state/folders.ts";
import { namesIn } from "../state/listing.ts";
import { hasLayer, type LayerForm, layerPath } from "./layers.ts";

/** Smaller files cost less to fetch than to leave out of a request. */
export const MIN_SHARED_BYTES = 4096;

/** A file of a layer that is here; `path` is a byte string. */
export interface LocalFile {
  layer: string;
  path: string;
  size: number;
  sha256: string;
}

/** Where the whole blob of a layer is to be had that was put together here. */
export interface PartialMark {
  digest: Digest;
  /** The image in full: its repository has it. */
  from: string;
  /** How its registry was reached. */
  tlsVerify?: boolean;
  authFile?: string;
  certDir?: string;
}

export function hasFileIndex(folders: Folders, diffId: Digest, form: LayerForm): boolean {
  return isThere(`${layerPath(folders, diffId, form)}.files`);
}

/** Writes a layer's index, beside the layer. */
export async function writeFileIndex(
  folders: Folders,
  diffId: Digest,
  form: LayerForm,
  toc: LayerToc,
): Promise<void> {
  let text = "";
  for (const { type, size, name, digest } of toc.entries) {
    if (type !== "file" || size < MIN_SHARED_BYTES || digest === undefined) continue;
    if (digestAlgorithm(digest) === "sha256") text += `${digestHex(digest)}:${size}:${name}\0`;
  }
  await replace(`${layerPath(folders, diffId, form)}.files`, bytesOf(text));
}

/** Whether any layer has an index. */
export function hasFileIndexes(folders: Folders, form: LayerForm): boolean {
  return namesIn(folders.layers).some((hex) => isThere(`${folders.layers}/${hex}/${form}.files`));
}

/** Files of layers here that have one of the digests wanted, by `<hex>:<size>`. */
export async function findLocalFiles(
  folders: Folders,
  form: LayerForm,
  wanted: ReadonlySet<string>,
): Promise<Map<string, LocalFile>> {
  const found = new Map<string, LocalFile>();
  for (const hex of namesIn(folders.layers)) {
    if (!hasLayer(folders, `sha256:${hex}` as Digest, form)) continue;
    const layer = `${folders.layers}/${hex}/${form}`;
    const bytes = await Deno.readFile(`${layer}.files`).catch(() => null);
    if (bytes === null) continue;
    for (const line of byteString(bytes).split("\0")) {
      const colon = line.indexOf(":", 65);
      const key = line.slice(0, colon);
      if (colon === -1 || !wanted.has(key) || found.has(key)) continue;
      const sha256 = key.slice(0, 64);
      found.set(key, { layer, path: line.slice(colon + 1), size: Number(key.slice(65)), sha256 });
    }
  }
  return found;
}

export function hasPartialMark(folders: Folders, diffId: Digest, form: LayerForm, digest: Digest): boolean {
  return readPartialMark(folders, diffId, form)?.digest === digest;
}

export function readPartialMark(folders: Folders, diffId: Digest, form: LayerForm): PartialMark | undefined {
  try {
    return JSON.parse(Deno.readTextFileSync(`${layerPath(folders, diffId, form)}.partial`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export async function writePartialMark(
  folders: Folders,
  diffId: Digest,
  form: LayerForm,
  mark: PartialMark,
): Promise<void> {
  await replace(
    `${layerPath(folders, diffId, form)}.partial`,
    new TextEncoder().encode(JSON.stringify(mark)),
  );
}

function isThere(path: string): boolean {
  try {
    return Deno.lstatSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function replace(path: string, bytes: Uint8Array): Promise<void> {
  // what a process that dies here leaves goes with the layer
  const temporary = `${path}.new-${crypto.randomUUID()}`;
  try {
    // not the asynchronous one: the first of those brings the runtime's web streams along, for 16 ms
    Deno.writeFileSync(temporary, bytes, { mode: 0o600, createNew: true });
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}

/**
 * Pulls a zstd:chunked layer without the files that a layer here has: they are taken from there.
 *
 * The archive is put together and unpacked as one that was downloaded whole, and its diff id is checked the same way;
 * so nothing that a table of contents says can make a layer something else. (eStargz packs a file's data together with
 * the next header, so none of it can be left out.) Whatever fails here, the layer is pulled whole instead.
 *
 * @see containers-storage.conf(5), enable_partial_images
 */
import { type LayerToc, type TocEntry, TocError } from "../archive/toc/model.ts";
import { arePartialPullsEnabled } from "../config/storage_conf.ts";
import { HostError, RegistryError, SkiffError, UnsupportedError, VerificationError } from "../errors.ts";
import type { ImageLayer } from "../image/manifest.ts";
import { digestAlgorithm, digestHex } from "../spec/digest.ts";
import { blobPath, hasBlob } from "../storage/blobs.ts";
import {
  findLocalFiles,
  hasFileIndex,
  hasFileIndexes,
  type LocalFile,
  MIN_SHARED_BYTES,
  writeFileIndex,
  writePartialMark,
} from "../storage/file_index.ts";
import { DEFAULT_LAYER_LIMIT_BYTES, hasLayer, type LayerJob, startExtraction } from "../storage/layers.ts";
import type { SplicePart } from "../storage/splice.ts";
import { keptAccess } from "./access.ts";
import type { RegistryClient } from "./client.ts";
import { fileReader, readToc, remoteReader, tocKind } from "./layer_toc.ts";
import type { LayerContext, LayerOptions } from "./pull_layers.ts";
import { type ByteRange, fetchRanges } from "./ranges.ts";

/** A layer of which less would be saved is pulled whole: that needs fewer requests, and keeps its blob. */
const WORTH_BYTES = 16 << 10;

export interface PartialPullOptions extends LayerOptions {
  signal: AbortSignal;
  onFetched: (bytes: number) => void;
}

/**
 * @returns how many bytes of the blob were not fetched; false where the layer is to be pulled whole
 */
export async function pullPartially(
  context: LayerContext,
  client: RegistryClient,
  layer: ImageLayer,
  options: PartialPullOptions,
): Promise<number | false> {
  const { folders, form } = context;
  if (tocKind(layer) !== "zstd:chunked" || !hasFileIndexes(folders, form)) return false;
  // its blob could not be fetched later
  if (client.options.credentials !== undefined) return false;
  if (!(await arePartialPullsEnabled(client.options.transport.options.sources))) return false;
  const limitBytes = context.layerLimitBytes ?? DEFAULT_LAYER_LIMIT_BYTES;
  try {
    const toc = await readToc(layer, limitBytes, remoteReader(client, layer, options.signal));
    if (toc === undefined) return false;
    const plan = planSplice(toc, await findLocalFiles(folders, form, wantedKeys(toc)));
    if (plan.saved < WORTH_BYTES) return false;
    await assemble(context, client, layer, plan, options);
    await writeFileIndex(folders, layer.diffId, form, toc);
    await writePartialMark(folders, layer.diffId, form, {
      digest: layer.digest,
      from: client.options.imageName,
      ...keptAccess(client),
    });
    return plan.saved;
  } catch (error) {
    options.signal.throwIfAborted();
    if (!isPassedOver(error)) throw error;
    const text = `layer ${layer.digest.slice(7, 19)} is pulled whole: ${error.message}`;
    options.progress?.({ kind: "status", text });
    return false;
  }
}

/** Keeps what a layer has by digest, once it is here with its blob. A table that is no good is left alone. */
export async function indexLayer(context: LayerContext, layer: ImageLayer): Promise<void> {
  const { folders, form } = context;
  if (tocKind(layer) === undefined || hasFileIndex(folders, layer.diffId, form)) return;
  if (!hasLayer(folders, layer.diffId, form) || !hasBlob(folders, layer.digest, layer.size)) return;
  const limitBytes = context.layerLimitBytes ?? DEFAULT_LAYER_LIMIT_BYTES;
  try {
    const toc = await readToc(layer, limitBytes, fileReader(blobPath(folders, layer.digest)));
    if (toc !== undefined) await writeFileIndex(folders, layer.diffId, form, toc);
  } catch (error) {
    if (!isPassedOver(error)) throw error;
  }
}

/** What a whole pull gets over, or tells better. */
function isPassedOver(error: unknown): error is Error {
  return error instanceof TocError || error instanceof VerificationError || error instanceof RegistryError ||
    error instanceof UnsupportedError;
}

interface Plan {
  parts: SplicePart[];
  ranges: ByteRange[];
  /** Bytes of the blob that are fetched, and that are not. */
  fetched: number;
  saved: number;
}

function keyOf({ digest, size }: TocEntry): string | undefined {
  if (digest === undefined || size < MIN_SHARED_BYTES || digestAlgorithm(digest) !== "sha256") {
    return undefined;
  }
  return `${digestHex(digest)}:${size}`;
}

function wantedKeys(toc: LayerToc): Set<string> {
  return new Set(toc.entries.map(keyOf).filter((key) => key !== undefined));
}

/** What lies between files that are here is fetched; the table itself is no part of the archive. */
export function planSplice(toc: LayerToc, local: ReadonlyMap<string, LocalFile>): Plan {
  const plan: Plan = { parts: [], ranges: [], fetched: 0, saved: 0 };
  let at = 0;
  const fetchUpTo = (end: number) => {
    if (end === at) return;
    plan.ranges.push({ start: at, end });
    plan.parts.push({ fetched: end - at });
    plan.fetched += end - at;
  };
  for (const entry of toc.entries) {
    const key = keyOf(entry);
    const file = key === undefined ? undefined : local.get(key);
    const start = entry.chunks[0]?.offset ?? 0, end = entry.chunks.at(-1)?.end ?? 0;
    // a file of zeros packs to less than the request for what is around it
    if (file === undefined || end - start < MIN_SHARED_BYTES / 2) continue;
    fetchUpTo(start);
    plan.parts.push(file);
    plan.saved += end - start;
    at = end;
  }
  fetchUpTo(toc.dataEnd);
  return plan;
}

async function assemble(
  context: LayerContext,
  client: RegistryClient,
  layer: ImageLayer,
  plan: Plan,
  options: PartialPullOptions,
): Promise<void> {
  const { signal } = options;
  const path = `${context.folders.blobs}/partial/${digestHex(layer.digest)}.${crypto.randomUUID()}`;
  using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  try {
    const job: LayerJob = {
      digest: layer.digest,
      size: plan.fetched,
      mediaType: layer.mediaType,
      diffId: layer.diffId,
      blobFile: path,
      form: context.form,
      limitBytes: context.layerLimitBytes ?? DEFAULT_LAYER_LIMIT_BYTES,
      splice: plan.parts,
    };
    const extraction = await (context.startExtraction ?? startExtraction)(context, job);
    let total = 0;
    try {
      await fetchRanges(client, {
        digest: layer.digest,
        size: layer.size,
        ranges: plan.ranges,
        signal,
        async onBytes(bytes) {
          await writeOut(file, path, bytes);
          extraction.grow(total += bytes.length);
          options.onFetched(total);
        },
      });
    } catch (error) {
      await extraction.abort();
      throw error;
    }
    await extraction.finish(signal);
  } finally {
    await Deno.remove(path).catch(() => {});
  }
}

async function writeOut(file: Deno.FsFile, path: string, bytes: Uint8Array): Promise<void> {
  try {
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
  } catch (cause) {
    if (cause instanceof SkiffError) throw cause;
    throw new HostError(`write ${path}: ${(cause as Error).message}`, { cause });
  }
}

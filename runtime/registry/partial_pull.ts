/**
 * Pulls a layer with a table of contents without the files that a layer here has: they are taken from there.
 *
 * The archive is put together and unpacked as one that was downloaded whole, and its diff id is checked the same way;
 * so nothing that a table of contents says can make a layer something else. (eStargz packs a file's data together with
 * the next headers, which are made again from the table.) Whatever fails here, the layer is pulled whole instead.
 *
 * @see containers-storage.conf(5), enable_partial_images
 */
import { sourceOf } from "../archive/chunks.ts";
import { GunzipSource, GzipError } from "../archive/gzip.ts";
import { unpackEstargzToc } from "../archive/toc/estargz.ts";
import { estargzSpans, spansOfHead, startsWith } from "../archive/toc/estargz_archive.ts";
import { type LayerToc, TocError } from "../archive/toc/model.ts";
import { arePartialPullsEnabled } from "../config/storage_conf.ts";
import { HostError, RegistryError, SkiffError, UnsupportedError, VerificationError } from "../errors.ts";
import type { ImageLayer } from "../image/manifest.ts";
import { digestHex } from "../spec/digest.ts";
import { blobPath, hasBlob } from "../storage/blobs.ts";
import {
  findLocalFiles,
  hasFileIndex,
  hasFileIndexes,
  writeFileIndex,
  writePartialMark,
} from "../storage/file_index.ts";
import { DEFAULT_LAYER_LIMIT_BYTES, hasLayer, type LayerJob, startExtraction } from "../storage/layers.ts";
import { keptAccess } from "./access.ts";
import type { RegistryClient } from "./client.ts";
import { fileReader, type ReadRange, readToc, remoteReader, tocKind } from "./layer_toc.ts";
import type { LayerContext, LayerOptions } from "./pull_layers.ts";
import { fetchRanges } from "./ranges.ts";
import { type LocalFiles, planEstargz, planZstdChunked, type SplicePlan, wantedKeys } from "./splice_plan.ts";

/** A layer of which less would be saved is pulled whole: that needs fewer requests, and keeps its blob. */
const WORTH_BYTES = 16 << 10;

/** What is looked at before it is known what comes. */
const MAX_HEAD_BYTES = 4 << 20;

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
  if (tocKind(layer) === undefined || !hasFileIndexes(folders, form)) return false;
  // its blob could not be fetched later
  if (client.options.credentials !== undefined) return false;
  if (!(await arePartialPullsEnabled(client.options.transport.options.sources))) return false;
  const limitBytes = context.layerLimitBytes ?? DEFAULT_LAYER_LIMIT_BYTES;
  try {
    const read = new RememberingReader(remoteReader(client, layer, options.signal));
    const toc = await readToc(layer, limitBytes, read.range);
    if (toc === undefined) return false;
    const local = await findLocalFiles(folders, form, wantedKeys(toc));
    if (local.size === 0) return false;
    const plan = await planOf(layer, toc, local, read);
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
    error instanceof UnsupportedError || error instanceof GzipError;
}

/** What to do for an eStargz layer, whose table's JSON comes with what is read for it. */
async function planOf(
  layer: ImageLayer,
  toc: LayerToc,
  local: LocalFiles,
  read: RememberingReader,
): Promise<SplicePlan & { table?: Uint8Array<ArrayBuffer> }> {
  if (tocKind(layer) === "zstd:chunked") return planZstdChunked(toc, local);
  const table = read.from(toc.dataEnd)!;
  const spans = estargzSpans(unpackEstargzToc(table), toc);
  const plan = (headersAreKnown: boolean) => {
    const plan = planEstargz(spans, local, headersAreKnown);
    // the table is part of the archive, and here
    return {
      ...plan,
      parts: [...plan.parts, { fetched: table.length }],
      fetched: plan.fetched + table.length,
      table,
    };
  };
  const hopeful = plan(true);
  // small files may share the first member with the first headers
  const head = spansOfHead(spans).length > 0 ? spansOfHead(spans) : spans.slice(0, 1);
  const end = head.at(-1)!.end;
  if (hopeful.saved < WORTH_BYTES || end > MAX_HEAD_BYTES) return plan(false);
  const archive = new GunzipSource(sourceOf(await read.range({ start: 0, end })), { checkCrc: false });
  return startsWith(archive, head) ? hopeful : plan(false);
}

/** Reads, and keeps what it read. */
class RememberingReader {
  readonly #kept: { start: number; bytes: Uint8Array<ArrayBuffer> }[] = [];

  constructor(private readonly read: ReadRange) {}

  readonly range: ReadRange = async (range) => {
    const bytes = await this.read(range);
    this.#kept.push({ start: range.start, bytes });
    return bytes;
  };

  /** What was read that begins there. */
  from(start: number): Uint8Array<ArrayBuffer> | undefined {
    return this.#kept.find((kept) => kept.start === start)?.bytes;
  }
}

async function assemble(
  context: LayerContext,
  client: RegistryClient,
  layer: ImageLayer,
  plan: SplicePlan & { table?: Uint8Array<ArrayBuffer> },
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
      if (plan.table !== undefined) {
        await writeOut(file, path, plan.table);
        extraction.grow(total += plan.table.length);
      }
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

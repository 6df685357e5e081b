/** Gets the layers of an image side by side: found, or downloaded and unpacked at the same time. */
import { RegistryError, SkiffError, VerificationError } from "../errors.ts";
import type { ImageLayer } from "../image/manifest.ts";
import type { Digest } from "../spec/digest.ts";
import { blobPath, commitPartial, hasBlob, partialPath } from "../storage/blobs.ts";
import {
  DEFAULT_LAYER_LIMIT_BYTES,
  type Extraction,
  hasLayer,
  type LayerForm,
  type LayerJob,
  removeAbandonedLayers,
  startExtraction,
  type StorageContext,
} from "../storage/layers.ts";
import { fileDigest } from "../storage/file_digest.ts";
import { hasPartialMark } from "../storage/file_index.ts";
import { lockBlob } from "./blob_lock.ts";
import type { RegistryClient } from "./client.ts";
import { downloadBlob } from "./download.ts";

export type LayerStatus = "waiting" | "exists" | "downloading" | "extracting" | "done" | "retrying";

export type PullProgress =
  | { kind: "layer"; digest: Digest; status: LayerStatus; current: number; total: number }
  /** `isLast`: nothing is left to do. */
  | { kind: "status"; text: string; isLast?: boolean };

export interface LayerContext extends StorageContext {
  form: LayerForm;
  /** A layer that unpacks to more is refused. */
  layerLimitBytes?: number;
  /** Layers with a table of contents are fetched when they are read. */
  lazy?: boolean;
  /** Storage's, but for tests. */
  startExtraction?: typeof startExtraction;
}

export interface LayerOptions {
  signal?: AbortSignal;
  progress?: (event: PullProgress) => void;
  parallel?: number;
}

const DEFAULT_PARALLEL = 6;

/**
 * Returns when every layer is in the store. The first failure stops the others and is thrown.
 *
 * A download that broke off for want of a connection is kept and continued by the next pull; one whose content
 * is wrong is removed.
 */
export async function pullLayers(
  context: LayerContext,
  client: RegistryClient,
  layers: ImageLayer[],
  options: LayerOptions,
): Promise<void> {
  const todo = [...new Map(layers.map((layer) => [layer.digest, layer])).values()];
  const isAllHere = todo.every((layer) => isHere(context, layer));
  for (const layer of todo) report(options, layer, "waiting", 0);
  // One layer's failure ends the others' waiting and downloading.
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  let failure: { error: unknown } | undefined;
  const worker = async () => {
    for (let layer = todo.shift(); layer !== undefined && failure === undefined; layer = todo.shift()) {
      try {
        await pullLayer(context, client, layer, { ...options, signal });
      } catch (error) {
        failure ??= { error };
        stop.abort(error);
      }
    }
  };
  const parallel = Math.min(options.parallel ?? DEFAULT_PARALLEL, todo.length);
  await Promise.all(Array.from({ length: parallel }, worker));
  if (failure !== undefined) throw failure.error;
  if (isAllHere) return;
  // What killed pulls left half unpacked; a failure to remove it is no failure of this pull.
  await removeAbandonedLayers(context).catch((error) => {
    options.progress?.({ kind: "status", text: `remove abandoned layers: ${(error as Error).message}` });
  });
}

function isHere({ folders, form }: LayerContext, layer: ImageLayer): boolean {
  return hasLayer(folders, layer.diffId, form) &&
    (hasBlob(folders, layer.digest, layer.size) ||
      layer.annotations !== undefined && hasPartialMark(folders, layer.diffId, form, layer.digest));
}

async function pullLayer(
  context: LayerContext,
  client: RegistryClient,
  layer: ImageLayer,
  options: LayerOptions & { signal: AbortSignal },
): Promise<void> {
  const { folders } = context;
  if (isHere(context, layer)) return report(options, layer, "exists", layer.size);
  using _lock = await lockBlob(folders.locks, layer.digest, {
    signal: options.signal,
    onWait: () => report(options, layer, "waiting", 0),
  });
  if (isHere(context, layer)) return report(options, layer, "exists", layer.size);

  if (hasBlob(folders, layer.digest, layer.size)) {
    try {
      return await unpackFile(context, layer, blobPath(folders, layer.digest), options);
    } catch (error) {
      if (!(error instanceof VerificationError)) throw error;
      // A sound blob that is not what the image says belongs to other images as well: it stays.
      if (await isSound(blobPath(folders, layer.digest), layer.digest)) throw error;
      await removeIfThere(blobPath(folders, layer.digest));
    }
  }
  if (context.lazy && !hasLayer(folders, layer.diffId, context.form)) {
    const { pullLazily } = await import("./lazy_layer.ts");
    if (await pullLazily(context, client, layer, options)) return report(options, layer, "done", layer.size);
  }
  if (layer.annotations !== undefined && await takePartially(context, client, layer, options)) return;
  try {
    const resumed = await fetchLayer(context, client, layer, options);
    if (resumed === "start again") await fetchLayer(context, client, layer, options);
    if (layer.annotations !== undefined) await (await import("./partial_pull.ts")).indexLayer(context, layer);
  } catch (error) {
    await keepOrRemove(partialPath(folders, layer.digest), error, options.signal);
    throw error;
  }
}

/** Whether the layer is here, put together of what came and what other layers had. */
async function takePartially(
  context: LayerContext,
  client: RegistryClient,
  layer: ImageLayer,
  options: LayerOptions & { signal: AbortSignal },
): Promise<boolean> {
  if (hasLayer(context.folders, layer.diffId, context.form)) return false;
  const { pullPartially } = await import("./partial_pull.ts");
  const saved = await pullPartially(context, client, layer, {
    ...options,
    onFetched: (bytes) => report(options, layer, "downloading", bytes),
  });
  if (saved === false) return false;
  report(options, layer, "done", layer.size);
  const text = `layer ${layer.digest.slice(7, 19)}: ${saved} of ${layer.size} bytes were here already`;
  options.progress?.({ kind: "status", text });
  return true;
}

/**
 * Downloads and unpacks at once.
 * @returns "start again" when what an earlier download left turned out to be wrong
 */
async function fetchLayer(
  context: LayerContext,
  client: RegistryClient,
  layer: ImageLayer,
  options: LayerOptions & { signal: AbortSignal },
): Promise<"done" | "start again"> {
  const { folders } = context;
  const path = partialPath(folders, layer.digest);
  // The child opens the file at once.
  (await Deno.open(path, { write: true, create: true, mode: 0o600 })).close();
  let resumed = 0;
  let isComing = true;
  const showUnpacked = (bytes: number) => {
    // While both go on, the download is what is worth showing.
    if (!isComing) report(options, layer, "extracting", bytes);
  };
  try {
    const consumer = hasLayer(folders, layer.diffId, context.form)
      ? blobOnly(path, layer)
      : await beginUnpack(context, layer, path, showUnpacked);
    try {
      resumed = await downloadBlob(client, {
        digest: layer.digest,
        size: layer.size,
        path,
        signal: options.signal,
        onGrow(total) {
          consumer.grow(total);
          report(options, layer, "downloading", total);
        },
        onRetry: () => report(options, layer, "retrying", 0),
      });
    } catch (error) {
      await consumer.abort();
      throw error;
    }
    isComing = false;
    await consumer.finish(options.signal);
  } catch (error) {
    if (!(error instanceof VerificationError) || resumed === 0) throw error;
    await removeIfThere(path);
    return "start again";
  }
  await commitPartial(folders, layer.digest);
  report(options, layer, "done", layer.size);
  return "done";
}

/** Unpacks a blob that is complete. */
async function unpackFile(
  context: LayerContext,
  layer: ImageLayer,
  path: string,
  options: LayerOptions & { signal: AbortSignal },
): Promise<void> {
  const show = (bytes: number) => report(options, layer, "extracting", bytes);
  const extraction = await beginUnpack(context, layer, path, show);
  extraction.grow(layer.size);
  await extraction.finish(options.signal);
  report(options, layer, "done", layer.size);
}

async function beginUnpack(
  context: LayerContext,
  layer: ImageLayer,
  blobFile: string,
  onProgress: (bytes: number) => void,
): Promise<Extraction> {
  const job: LayerJob = {
    digest: layer.digest,
    size: layer.size,
    mediaType: layer.mediaType,
    diffId: layer.diffId,
    blobFile,
    form: context.form,
    limitBytes: context.layerLimitBytes ?? DEFAULT_LAYER_LIMIT_BYTES,
  };
  return await (context.startExtraction ?? startExtraction)(context, job, { onProgress });
}

/** The tree is there already (another blob had the same content): only the blob's digest is to be checked. */
function blobOnly(path: string, layer: ImageLayer): Extraction {
  return {
    grow: () => {},
    abort: () => Promise.resolve(),
    async finish() {
      if (await isSound(path, layer.digest)) return;
      throw new VerificationError(`verify layer ${layer.digest.slice(0, 19)}: its digest is another`);
    },
  };
}

/** Whether a file is what the digest says. */
async function isSound(path: string, digest: Digest): Promise<boolean> {
  return await fileDigest(path, digest) === digest;
}

/** What a broken connection or the user's abort left of a download is where the next pull goes on; all else goes. */
export async function keepOrRemove(partial: string, error: unknown, signal: AbortSignal): Promise<void> {
  const isUsersAbort = signal.aborted && !(signal.reason instanceof SkiffError);
  const isWorthKeeping = error instanceof RegistryError || isUsersAbort;
  const isEmpty = await Deno.stat(partial).then((info) => info.size === 0, () => true);
  if (!isWorthKeeping || isEmpty) await removeIfThere(partial);
}

export async function removeIfThere(path: string): Promise<void> {
  await Deno.remove(path).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

function report(options: LayerOptions, layer: ImageLayer, status: LayerStatus, current: number): void {
  options.progress?.({ kind: "layer", digest: layer.digest, status, current, total: layer.size });
}

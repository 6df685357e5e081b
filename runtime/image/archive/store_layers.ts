/** Brings the layers of an archived image into the store: each is copied and unpacked at the same time. */

import { readFully } from "../../archive/chunks.ts";
import { fileRange } from "../../archive/file_chunks.ts";
import { VerificationError } from "../../errors.ts";
import { type Digest, digestHex } from "../../spec/digest.ts";
import { hasBlob, publishBlob } from "../../storage/blobs.ts";
import {
  DEFAULT_LAYER_LIMIT_BYTES,
  hasLayer,
  type LayerForm,
  startExtraction,
  type StorageContext,
} from "../../storage/layers.ts";
import { EINVAL, ENOSYS, EOPNOTSUPP, EXDEV, isErrno } from "../../../ffi/errno.ts";
import { close, copy_file_range, open, writeAll } from "../../../ffi/file.ts";
import { O_CLOEXEC, O_CREAT, O_EXCL, O_WRONLY } from "../../../ffi/constants/fcntl.ts";
import type { ImageLayer } from "../manifest.ts";
import type { ArchivedLayer } from "./archived_image.ts";
import type { Part } from "./source.ts";

export interface LoadContext extends StorageContext {
  form: LayerForm;
  /** A layer that unpacks to more is refused. */
  layerLimitBytes?: number;
}

/** The words of pull's progress. */
export interface LayerProgress {
  kind: "layer";
  digest: Digest;
  status: "waiting" | "exists" | "extracting" | "done";
  current: number;
  total: number;
}

export interface LoadOptions {
  signal?: AbortSignal;
  progress?: (event: LayerProgress) => void;
}

/** Each has an unpacking and a hashing child. */
const PARALLEL = 3;
/** Copied at a time: some milliseconds, after which signals get their turn. */
const COPY_STEP = 8 << 20;

/** Returns when every layer is in the store; the first failure stops the others and is thrown. */
export async function storeLayers(
  context: LoadContext,
  layers: readonly ArchivedLayer[],
  options: LoadOptions,
): Promise<ImageLayer[]> {
  const known = await withDigests(layers);
  const todo = [...new Map(known.map((layer) => [layer.digest, layer])).values()];
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  let failure: { error: unknown } | undefined;
  const worker = async () => {
    for (let layer = todo.shift(); layer !== undefined && failure === undefined; layer = todo.shift()) {
      try {
        await storeLayer(context, layer, { ...options, signal });
      } catch (error) {
        failure ??= { error };
        stop.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL, todo.length) }, worker));
  if (failure !== undefined) throw failure.error;
  return known.map(({ digest, size, mediaType, diffId }) => ({ digest, size, mediaType, diffId }));
}

type KnownLayer = ImageLayer & { part: Part };

/** Whether a layer is in the store, unpacked and as it came. */
export function isStored(
  context: LoadContext,
  layer: Pick<ImageLayer, "digest" | "size" | "diffId">,
): boolean {
  return hasLayer(context.folders, layer.diffId, context.form) &&
    hasBlob(context.folders, layer.digest, layer.size);
}

async function storeLayer(
  context: LoadContext,
  layer: KnownLayer,
  options: LoadOptions & { signal: AbortSignal },
): Promise<void> {
  const { folders } = context;
  const report = (status: LayerProgress["status"], current: number) =>
    options.progress?.({ kind: "layer", digest: layer.digest, status, current, total: layer.size });
  options.signal.throwIfAborted();
  if (isStored(context, layer)) return report("exists", layer.size);
  const { part } = layer;
  report("extracting", 0);
  const file = `${folders.blobs}/partial/${digestHex(layer.digest)}.${crypto.randomUUID()}`;
  if (part.spooled === undefined) close(open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600));
  else await Deno.link(part.spooled, file);
  try {
    // also where the tree is there already: it is the unpacking that checks the digests
    const extraction = await startExtraction(context, {
      digest: layer.digest,
      size: layer.size,
      mediaType: layer.mediaType,
      diffId: layer.diffId,
      blobFile: file,
      form: context.form,
      limitBytes: context.layerLimitBytes ?? DEFAULT_LAYER_LIMIT_BYTES,
    }, { onProgress: (bytes) => report("extracting", bytes) });
    try {
      if (part.spooled === undefined) await copyPart(part, file, extraction.grow, options.signal);
      extraction.grow(layer.size);
    } catch (error) {
      await extraction.abort();
      throw error;
    }
    await extraction.finish(options.signal);
    await publishBlob(folders, file, layer.digest);
  } catch (error) {
    await Deno.remove(file).catch(() => {});
    throw error;
  }
  report("done", layer.size);
}

/** A step at a time; within the kernel, where it can copy between the two files. */
async function copyPart(
  part: Part,
  file: string,
  onGrow: (total: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const out = open(file, O_WRONLY | O_CLOEXEC);
  try {
    let copy: typeof copyByBuffer = copy_file_range;
    for (let done = 0; done < part.size;) {
      const step = Math.min(COPY_STEP, part.size - done);
      try {
        const copied = copy(part.fd, out, step, part.offset + done);
        if (copied === 0) throw new VerificationError("load image: the archive is shorter than it says");
        done += copied;
      } catch (error) {
        if (copy !== copy_file_range || !isErrno(error, EXDEV, EINVAL, EOPNOTSUPP, ENOSYS)) throw error;
        copy = copyByBuffer;
        continue;
      }
      onGrow(done);
      await new Promise((resolve) => setTimeout(resolve));
      signal.throwIfAborted();
    }
  } finally {
    close(out);
  }
}

/** Between two kinds of file systems, which the kernel does not copy across. */
function copyByBuffer(from: number, to: number, length: number, fromOffset: number): number {
  const buffer = new Uint8Array(length);
  const got = readFully(fileRange(from, fromOffset, length), buffer);
  writeAll(to, buffer.subarray(0, got));
  return got;
}

/** A docker-archive does not say what the digest of a compressed layer is. */
async function withDigests(layers: readonly ArchivedLayer[]): Promise<KnownLayer[]> {
  const known: KnownLayer[] = [];
  for (const layer of layers) {
    const { part } = layer;
    known.push({ ...layer, part, size: part.size, digest: layer.digest ?? await hashPart(part) });
  }
  return known;
}

async function hashPart(part: Part): Promise<Digest> {
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha256");
  const source = fileRange(part.fd, part.offset, part.size);
  const buffer = new Uint8Array(1 << 20);
  for (let length = source.read(buffer); length > 0; length = source.read(buffer)) {
    hash.update(buffer.subarray(0, length));
    await new Promise((resolve) => setTimeout(resolve));
  }
  return `sha256:${hash.digest("hex")}` as Digest;
}

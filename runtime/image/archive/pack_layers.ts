/** Packs layers of an image into files of `blobs/partial` that live until disposed of. */

import { createHash } from "node:crypto";
import type { ChunkSource } from "../../archive/chunks.ts";
import { ZstdHandle } from "../../archive/deflate_handle.ts";
import { fileRange } from "../../archive/file_chunks.ts";
import { blocksOf, gzipBlocks } from "../../archive/gzip_blocks.ts";
import type { Packing } from "../../archive/packing.ts";
import { writeZstdChunked } from "../../archive/toc/write_zstd_chunked.ts";
import { VerificationError } from "../../errors.ts";
import { type Digest, digestAlgorithm, digestHex } from "../../spec/digest.ts";
import { LAYER_COMPRESSION } from "../../spec/image.ts";
import type { Folders } from "../../state/folders.ts";
import { blobPath } from "../../storage/blobs.ts";
import { warmUp } from "../../storage/extract_task.ts";
import { runWorker } from "../../storage/worker.ts";
import { close, Fd, open, writeAll } from "../../../ffi/file.ts";
import { O_CLOEXEC, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } from "../../../ffi/constants/fcntl.ts";
import type { ImageLayer } from "../manifest.ts";
import { packedMediaType, withLayers } from "./image_form.ts";
import type { SavedImage } from "./saved_files.ts";
import { unpacked } from "./write_files.ts";

export interface PackedImage extends AsyncDisposable {
  /** With a manifest of its own; the config, and so the id, stays. */
  image: SavedImage;
}

/** A layer in a file of its own, which is the caller's to remove. */
export interface PackedLayer {
  digest: Digest;
  size: number;
  path: string;
  /** Of its descriptor. */
  annotations?: Record<string, string>;
}

/** The same image with gzip where layers are not packed. */
export async function packLayers(
  folders: Folders,
  image: SavedImage,
  signal?: AbortSignal,
  packing: Packing = { format: "gzip" },
): Promise<PackedImage> {
  const made: string[] = [];
  const dispose = async () => {
    for (const path of made) await Deno.remove(path).catch(() => {});
  };
  try {
    const layers: SavedImage["layers"] = [];
    for (const layer of image.layers) {
      if (LAYER_COMPRESSION[layer.mediaType] !== "none") {
        layers.push(layer);
        continue;
      }
      const packed = await packLayer(folders, layer, packing, { signal });
      made.push(packed.path);
      layers.push({ ...layer, ...packed, mediaType: packedMediaType(layer.mediaType, packing) });
    }
    return { image: withLayers(image, layers), [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** `path`: where its blob is, if not in the store. */
export type SourceLayer = ImageLayer & { path?: string };

export interface PackLayerOptions {
  signal?: AbortSignal;
  /** What the content of the layer was packed into before: where it is that again, its diff id is not asked for. */
  expected?: Digest;
  /** So many bytes are in the file, which is not whole. */
  onWritten?: (path: string, bytes: number) => void;
}

/**
 * Packs one layer, whatever it is packed with now, in a process of its own.
 *
 * @throws {VerificationError} where the store's content is not what the image says
 */
export async function packLayer(
  folders: Folders,
  layer: SourceLayer,
  packing: Packing,
  { signal, expected, onWritten }: PackLayerOptions = {},
): Promise<PackedLayer> {
  const path = `${folders.blobs}/partial/${digestHex(layer.digest)}.${crypto.randomUUID()}`;
  warmUp();
  try {
    const work = (report: (bytes: number) => void) => {
      const job = { packing, path, expected, report: onWritten === undefined ? () => {} : report };
      return pack(folders, layer, job);
    };
    const onProgress = (bytes: number) => onWritten?.(path, bytes);
    return { ...await runWorker("pack layer", [], work, { signal, onProgress }), path };
  } catch (error) {
    await Deno.remove(path).catch(() => {});
    throw error;
  }
}

interface PackJob {
  packing: Packing;
  path: string;
  expected?: Digest;
  report: (bytes: number) => void;
}

/** In the child: all of it is synchronous. */
function pack(
  folders: Folders,
  { digest, mediaType, diffId, path: source = blobPath(folders, digest) }: SourceLayer,
  { packing, path, expected, report }: PackJob,
): Omit<PackedLayer, "path"> {
  const content = () => {
    const fd = open(source, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    const pieces = blocksOf(
      LAYER_COMPRESSION[mediaType] === "none" ? fileRange(fd) : unpacked(fd, mediaType),
    );
    return { next: () => pieces.next(), [Symbol.dispose]: () => close(fd) };
  };
  const archive = createHash(digestAlgorithm(diffId));
  const hashed = (pieces: ChunkSource): ChunkSource => ({
    next() {
      const piece = pieces.next();
      if (piece !== null) archive.update(piece);
      return piece;
    },
  });
  using pieces = content();
  using out = new Fd(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600));
  const packed = createHash("sha256");
  let size = 0, reported = 0;
  const sink = (bytes: Uint8Array<ArrayBuffer>) => {
    packed.update(bytes);
    size += bytes.length;
    writeAll(out.number, bytes);
    if (size - reported >= REPORTED_BYTES) report(reported = size);
  };
  const archived = expected === undefined ? hashed(pieces) : pieces;
  const annotations = PACKERS[packing.format](archived, sink, packing.level) ?? undefined;
  const result = { digest: `sha256:${packed.digest("hex")}` as Digest, size, annotations };
  if (result.digest === expected) return result;
  if (expected !== undefined) {
    // packed by another zlib, or changed
    using again = content();
    for (const all = hashed(again); all.next() !== null;);
  }
  const found = `${digestAlgorithm(diffId)}:${archive.digest("hex")}`;
  if (found !== diffId) {
    throw new VerificationError(
      `pack layer ${digest}: its content was changed: its digest is ${found} instead of ${diffId}`,
      { hint: "pull or load the image again" },
    );
  }
  return result;
}

/** How much is written between two reports. */
const REPORTED_BYTES = 1 << 18;

type Sink = (bytes: Uint8Array<ArrayBuffer>) => void;

/** They may return annotations. */
const PACKERS: Record<
  Packing["format"],
  (content: ChunkSource, sink: Sink, level?: number) => Record<string, string> | void
> = {
  gzip: (content, sink, level) => gzipBlocks(content, sink, { level }),
  zstd: packZstd,
  "zstd:chunked": writeZstdChunked,
};

function packZstd(content: ChunkSource, sink: Sink, level?: number): void {
  const handle = new ZstdHandle(level);
  for (let piece = content.next(); piece !== null; piece = content.next()) handle.write(piece, sink);
  handle.finish(sink);
}

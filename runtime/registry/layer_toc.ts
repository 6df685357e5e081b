/** The table of contents of a layer: from its registry, by range, or from its blob here. */
import { TOC_LIMITS, TocError } from "../archive/toc/model.ts";
import type { LayerToc } from "../archive/toc/model.ts";
import { parseZstdChunkedToc, zstdChunkedPosition } from "../archive/toc/zstd_chunked.ts";
import {
  ESTARGZ_FOOTER_BYTES,
  estargzTocDigest,
  parseEstargzFooter,
  parseEstargzToc,
  unpackEstargzToc,
} from "../archive/toc/estargz.ts";
import { VerificationError } from "../errors.ts";
import { type Digest, verifyBytes } from "../spec/digest.ts";
import type { RegistryClient } from "./client.ts";
import { type ByteRange, fetchRange, type RangeFetch } from "./ranges.ts";

const PIECE_BYTES = 1 << 20;
/** An eStargz layer's footer comes with so much of what is before it: mostly the whole table. */
const TAIL_BYTES = 64 << 10;

/** What is known of a layer before anything of it is here. */
export interface LayerDescriptor {
  digest: Digest;
  size: number;
  annotations?: Record<string, string>;
}

/** Gives the bytes of a range in their order; each piece is valid until `onBytes` is done. */
export type StreamRange = (range: ByteRange, onBytes: RangeFetch["onBytes"]) => Promise<void>;

export type ReadRange = (range: ByteRange) => Promise<Uint8Array<ArrayBuffer>>;

/** The kind of table that the annotations promise. */
export function tocKind({ annotations, size }: LayerDescriptor): "zstd:chunked" | "estargz" | undefined {
  try {
    if (zstdChunkedPosition(annotations, size) !== undefined) return "zstd:chunked";
  } catch (error) {
    if (!(error instanceof TocError)) throw error;
  }
  return estargzTocDigest(annotations) !== undefined && size > ESTARGZ_FOOTER_BYTES ? "estargz" : undefined;
}

/**
 * The table, verified against the annotations, which the manifest's digest covers.
 *
 * @throws {TocError} for one that does not add up; VerificationError where other bytes came; what `read` throws
 */
export async function readToc(
  layer: LayerDescriptor,
  limitBytes: number,
  read: ReadRange,
): Promise<LayerToc | undefined> {
  const what = `table of contents of layer ${layer.digest.slice(0, 19)}…`;
  const position = zstdChunkedPosition(layer.annotations, layer.size);
  if (position !== undefined) {
    const packed = await read({ start: position.offset, end: position.offset + position.packedBytes });
    await verifyBytes(what, packed, position.digest);
    return parseZstdChunkedToc(packed, position, limitBytes);
  }
  const digest = estargzTocDigest(layer.annotations);
  if (digest === undefined || layer.size <= ESTARGZ_FOOTER_BYTES) return undefined;
  const footer = await read({ start: layer.size - ESTARGZ_FOOTER_BYTES, end: layer.size });
  let found: ReturnType<typeof parseEstargzFooter>;
  try {
    found = parseEstargzFooter(footer, layer.size);
  } catch (error) {
    throw error instanceof TocError ? new VerificationError(`read ${what}: ${error.message}`) : error;
  }
  const { tocOffset, footerBytes } = found;
  const end = layer.size - footerBytes;
  if (end - tocOffset > TOC_LIMITS.packedBytes) {
    throw new TocError(`table of contents: it is larger than allowed`);
  }
  const json = unpackEstargzToc(await read({ start: tocOffset, end }));
  await verifyBytes(what, json, digest);
  return parseEstargzToc(json, tocOffset, limitBytes);
}

/** Reads from the registry. */
export function remoteReader(
  client: RegistryClient,
  layer: LayerDescriptor,
  signal?: AbortSignal,
): ReadRange {
  return (range) => fetchRange(client, { ...layer, signal }, range);
}

/** Reads by `read`, what lies at the layer's end at once: for who cannot start before the table is here. */
export function tailReader(layer: LayerDescriptor, read: ReadRange): ReadRange {
  // of the other kind it is known where the table is
  if (tocKind(layer) !== "estargz") return read;
  const tailStart = Math.max(0, layer.size - TAIL_BYTES);
  let tail: Uint8Array<ArrayBuffer> | undefined;
  return async ({ start, end }) => {
    if (start < tailStart) return await read({ start, end });
    tail ??= await read({ start: tailStart, end: layer.size });
    return tail.slice(start - tailStart, end - tailStart);
  };
}

/** Reads from the blob at `path`. */
export function streamFile(path: string): StreamRange {
  return async ({ start, end }, onBytes) => {
    using file = await Deno.open(path, { read: true });
    await file.seek(start, Deno.SeekMode.Start);
    const buffer = new Uint8Array(Math.min(PIECE_BYTES, end - start));
    for (let at = start; at < end;) {
      const length = await file.read(buffer.subarray(0, end - at));
      if (length === null) throw new VerificationError(`read blob ${path}: it is too short`);
      await onBytes(buffer.subarray(0, length));
      at += length;
    }
  };
}

/** The same, in memory. */
export function fileReader(path: string): ReadRange {
  const stream = streamFile(path);
  return async (range) => {
    const bytes = new Uint8Array(range.end - range.start);
    let at = 0;
    await stream(range, (piece) => {
      bytes.set(piece, at);
      at += piece.length;
    });
    return bytes;
  };
}

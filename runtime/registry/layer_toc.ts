/** The table of contents of a layer: from its registry, by range, or from its blob here. */
import { readUpTo } from "../archive/read_up_to.ts";
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
import { type ByteRange, fetchRange } from "./ranges.ts";

/** What is known of a layer before anything of it is here. */
export interface LayerDescriptor {
  digest: Digest;
  size: number;
  annotations?: Record<string, string>;
}

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

/** Reads from the blob at `path`. */
export function fileReader(path: string): ReadRange {
  return async ({ start, end }) => {
    using file = await Deno.open(path, { read: true });
    await file.seek(start, Deno.SeekMode.Start);
    const bytes = await readUpTo(file, end - start);
    if (bytes.length < end - start) throw new VerificationError(`read blob ${path}: it is too short`);
    return bytes;
  };
}

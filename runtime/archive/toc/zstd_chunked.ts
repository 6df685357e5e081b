/**
 * zstd:chunked: a zstd layer whose files are frames of their own, with a table of contents in a skippable frame.
 *
 * ```
 * frames: headers │ data of a file │ padding and headers │ … │ skippable: the table, packed │ skippable: tar-split,
 *         packed │ skippable: footer, 64 bytes, eight little-endian numbers: offset, packed and unpacked length, type 1
 *         of the table; the first three of tar-split; "GNUlInUx"
 * ```
 * Offsets are of what is in a skippable frame, behind its eight bytes of header.
 *
 * @see containers/storage pkg/chunked/internal/minimal/compression.go
 */

import { type Digest, isDigest } from "../../spec/digest.ts";
import { readFully, sourceOf } from "../chunks.ts";
import { ZstdError, ZstdSource } from "../zstd.ts";
import { ZSTD_CHUNKED } from "./annotations.ts";
import { type LayerToc, TOC_LIMITS, TocError } from "./model.ts";
import { parseToc } from "./parse.ts";

export { ZSTD_CHUNKED } from "./annotations.ts";

/** The only kind of table there is. */
export const ZSTD_CHUNKED_TOC_TYPE = 1;
export const ZSTD_CHUNKED_MAGIC = "GNUlInUx";
export const ZSTD_CHUNKED_FOOTER_BYTES = 64;
/** Magic and length. */
export const SKIPPABLE_HEADER_BYTES = 8;

export interface ZstdChunkedPosition {
  offset: number;
  packedBytes: number;
  bytes: number;
  /** Of the packed table. */
  digest: Digest;
}

/** An annotation by its name, or by the one that it had before podman 4.4: `io.containers.…`. */
function annotation(annotations: Record<string, string> | undefined, name: string): string | undefined {
  return annotations?.[name] ?? annotations?.[name.replace(".github.", ".")];
}

/** The digest that a layer's annotations promise for its table; undefined where it has none. */
export function zstdChunkedTocDigest(annotations: Record<string, string> | undefined): Digest | undefined {
  const digest = annotation(annotations, ZSTD_CHUNKED.manifestChecksum);
  return isDigest(digest) ? digest : undefined;
}

/**
 * Where the table is, as the annotations say, which the manifest's digest covers; undefined where they do not.
 *
 * @throws {TocError} where they say nonsense
 */
export function zstdChunkedPosition(
  annotations: Record<string, string> | undefined,
  blobSize: number,
): ZstdChunkedPosition | undefined {
  const digest = annotation(annotations, ZSTD_CHUNKED.manifestChecksum);
  const position = annotation(annotations, ZSTD_CHUNKED.manifestPosition);
  if (digest === undefined || position === undefined) return undefined;
  const numbers = /^(\d{1,15}):(\d{1,15}):(\d{1,15}):(\d{1,3})$/.exec(position)?.slice(1).map(Number);
  if (numbers === undefined || !isDigest(digest)) {
    throw new TocError("table of contents: its position is malformed");
  }
  const [offset, packedBytes, bytes, type] = numbers as [number, number, number, number];
  if (type !== ZSTD_CHUNKED_TOC_TYPE) throw new TocError("table of contents: it is of an unknown kind");
  if (offset < SKIPPABLE_HEADER_BYTES || packedBytes === 0 || offset + packedBytes > blobSize) {
    throw new TocError("table of contents: its position is outside of the layer");
  }
  if (packedBytes > TOC_LIMITS.packedBytes || bytes > TOC_LIMITS.bytes) {
    throw new TocError("table of contents: it is larger than allowed");
  }
  return { offset, packedBytes, bytes, digest };
}

/** @param packed verified against `position.digest`. @throws {TocError} */
export function parseZstdChunkedToc(
  packed: Uint8Array,
  position: ZstdChunkedPosition,
  limitBytes: number,
): LayerToc {
  // one byte more than promised shows that there is more
  const json = new Uint8Array(position.bytes + 1);
  let length: number;
  try {
    length = readFully(new ZstdSource(sourceOf(packed)), json);
  } catch (error) {
    if (error instanceof ZstdError) throw new TocError(`table of contents: ${error.message}`);
    throw error;
  }
  if (length !== position.bytes) throw new TocError("table of contents: it has another length than promised");
  const dataEnd = position.offset - SKIPPABLE_HEADER_BYTES;
  return parseToc(json.subarray(0, length), { dataEnd, sharesMembers: false, limitBytes });
}

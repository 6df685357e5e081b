/**
 * A layer's table of contents: what its archive has, and where in the packed blob each file's data lies, so that
 * files can be fetched one by one. eStargz and zstd:chunked layers have one (estargz.ts, zstd_chunked.ts).
 */

import type { Digest } from "../../spec/digest.ts";
import type { TarEntry } from "../tar.ts";

/** A piece of a file's data that was packed, and is fetched, by itself. */
export interface TocChunk {
  /** In the blob: the gzip member or zstd frame that it begins in, and where the next thing begins. */
  offset: number;
  end: number;
  /** Unpacked bytes of that member before the piece (eStargz puts small files together). */
  innerOffset: number;
  /** In the file. */
  fileOffset: number;
  size: number;
  /** Of the unpacked piece; undefined where the table has none but the file's (then it is the only piece). */
  digest?: Digest;
  /** The piece is zeros and need not be fetched. */
  isZeros: boolean;
}

/** One member. Its name is clean and relative, `""` for the root; names and values as the tar reader gives them. */
export interface TocEntry extends TarEntry {
  /** Of a file's whole content. */
  digest?: Digest;
  /** Of a file, in order and without gaps; none of an empty one. */
  chunks: TocChunk[];
}

export interface LayerToc {
  /** In the archive's order. */
  entries: TocEntry[];
  /** Where the table itself, or what is before it in the blob, begins: data lies before. */
  dataEnd: number;
  /** What comes before this in the blob is needed first (eStargz's prefetch landmark); 0: nothing is said. */
  prefetchEnd: number;
}

/** A table of contents that is damaged or crafted. */
export class TocError extends Error {
  override name = "TocError";
}

/** Bounds on tables; real ones of the largest images known stay below a tenth. */
export const TOC_LIMITS = {
  /** Packed and unpacked. */
  packedBytes: 16 << 20,
  bytes: 64 << 20,
  /** Entries, chunks included. */
  entries: 1_000_000,
  /** One name of 4 kB names two thousand of them. */
  impliedFolders: 100_000,
  xattrsPerEntry: 256,
} as const;

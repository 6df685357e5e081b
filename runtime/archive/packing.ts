/** What layers are packed with, as data: what packs them costs time to load. */

/** How layers are packed. */
export interface Packing {
  format: "gzip" | "zstd" | "zstd:chunked";
  /** gzip 1–9 (default 3), zstd 1–20 (default: the library's). */
  level?: number;
}

/** The highest level of each; the lowest is 1. */
export const LEVELS: Readonly<Record<Packing["format"], number>> = { gzip: 9, zstd: 20, "zstd:chunked": 20 };

export function isPackingFormat(text: string): text is Packing["format"] {
  return Object.hasOwn(LEVELS, text);
}

/** What unpacks it: zstd:chunked is zstd with a table that nobody needs to read. */
export function compressionOf({ format }: Packing): "gzip" | "zstd" {
  return format === "zstd:chunked" ? "zstd" : format;
}

/** What layers are packed with, as data: what packs them costs time to load. */

/** How layers are packed. */
export interface Packing {
  format: "gzip" | "zstd" | "zstd:chunked";
  /** gzip 1–9 (default 3), zstd 1–20 (default: the library's). */
  level?: number;
}

/** What unpacks it: zstd:chunked is zstd with a table that nobody needs to read. */
export function compressionOf({ format }: Packing): "gzip" | "zstd" {
  return format === "zstd:chunked" ? "zstd" : format;
}

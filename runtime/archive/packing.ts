/** What layers are packed with, as data: what packs them costs time to load. */

/** How layers are packed. */
export interface Packing {
  format: "gzip" | "zstd";
  /** gzip 1–9 (default 3), zstd 1–20 (default: the library's). */
  level?: number;
}

/** What layers are packed with, as data: what packs them costs time to load. */

/** How layers are packed. */
export interface Packing {
  format: "gzip" | "zstd";
  /** gzip 1–9, zstd 1–20; the default is the library's. */
  level?: number;
}

/**
 * Tar archives, read and written synchronously: ustar, v7, GNU and pax, with what libraries lose (binary
 * xattrs, sparse files, sub-second and base-256 times, device numbers, names that are no UTF-8).
 *
 * This file is the seat of `@std/tar`, which keeps none of these.
 */

export type { SparseSegment, TarEntry, TarType } from "./tar/header.ts";
export { TarError } from "./tar/header.ts";
export { TarReader } from "./tar/reader.ts";
export { TarWriter } from "./tar/writer.ts";

/**
 * One tar header block: fields, numbers, checksum.
 *
 * ```
 *   0 name 100 | 100 mode 8 | 108 uid 8 | 116 gid 8 | 124 size 12 | 136 mtime 12 | 148 chksum 8 | 156 type 1
 * 157 linkname 100 | 257 magic 6, version 2 | 265 uname 32 | 297 gname 32 | 329 devmajor 8 | 337 devminor 8
 * 345 prefix 155 (ustar) | 345 atime 12, ctime 12, … 386 sparse 4×24, 482 extended, 483 realsize 12 (GNU)
 * ```
 *
 * @see POSIX.1-2017 pax, ustar interchange format; GNU tar manual, "Basic Tar Format"
 */

import { byteString } from "../byte_string.ts";

export const BLOCK = 512;

/** An archive that is damaged, truncated or crafted. */
export class TarError extends Error {
  override name = "TarError";
}

export type TarType =
  | "file"
  | "hardlink"
  | "symlink"
  | "char"
  | "block"
  | "directory"
  | "fifo"
  | "unknown";

/** A run of stored bytes in a sparse file; between runs are holes. */
export interface SparseSegment {
  offset: number;
  length: number;
}

/** One member. `name` and `linkname` are byte strings (see byte_string.ts). */
export interface TarEntry {
  name: string;
  linkname: string;
  type: TarType;
  /** The type byte as found, for messages about unknown ones. */
  typeflag: string;
  /** Permission bits with setuid, setgid and sticky. */
  mode: number;
  uid: number;
  gid: number;
  /** Length of the file; of a sparse file, holes included. */
  size: number;
  /** Seconds since 1970 (floor) and the nanoseconds on top. */
  mtime: number;
  mtimeNs: number;
  /** Absent where the archive has none. */
  atime?: number;
  atimeNs?: number;
  devmajor: number;
  devminor: number;
  /** Values are bytes, names byte strings. */
  xattrs?: Map<string, Uint8Array<ArrayBuffer>>;
  /** Stored runs of a sparse file, ascending. */
  sparse?: SparseSegment[];
}

export const TYPES: Readonly<Record<string, TarType>> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  "S": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "char",
  "4": "block",
  "5": "directory",
  "6": "fifo",
};

/** Types that have no data whatever their size field says, as Go's archive/tar reads them. */
export function hasData(type: TarType): boolean {
  return type === "file" || type === "unknown";
}

/** Which dialect a header is in; it decides what bytes 345–511 mean. */
export type TarFormat = "v7" | "ustar" | "star" | "gnu";

export function headerFormat(block: Uint8Array): TarFormat {
  const magic = byteString(block, 257, 265);
  if (magic.startsWith("ustar\0")) return byteString(block, 508, 512) === "tar\0" ? "star" : "ustar";
  return magic === "ustar  \0" ? "gnu" : "v7";
}

/** Reads a header block. @throws {TarError} on a wrong checksum or number. */
export function parseHeader(block: Uint8Array): TarEntry {
  checkChecksum(block);
  const format = headerFormat(block);
  const typeflag = String.fromCharCode(block[156]!);
  let name = field(block, 0, 100);
  if (format === "ustar" || format === "star") {
    const prefix = field(block, 345, format === "ustar" ? 155 : 131);
    if (prefix !== "") name = `${prefix}/${name}`;
  }
  const type = TYPES[typeflag] ?? "unknown";
  return {
    name,
    linkname: field(block, 157, 100),
    // v7 and BSD mark a directory by its slash alone.
    type: typeflag === "\0" && name.endsWith("/") ? "directory" : type,
    typeflag,
    mode: parseNumber(block, 100, 8, "mode") & 0o7777,
    uid: parseNumber(block, 108, 8, "uid"),
    gid: parseNumber(block, 116, 8, "gid"),
    size: nonNegative(parseNumber(block, 124, 12, "size"), "size"),
    mtime: parseNumber(block, 136, 12, "mtime"),
    mtimeNs: 0,
    devmajor: format === "v7" ? 0 : parseNumber(block, 329, 8, "devmajor"),
    devminor: format === "v7" ? 0 : parseNumber(block, 337, 8, "devminor"),
  };
}

/** Whether the block is zeros: two of them end an archive. */
export function isZeroBlock(block: Uint8Array): boolean {
  for (let at = 0; at < BLOCK; at++) if (block[at] !== 0) return false;
  return true;
}

/** The sum of the header's bytes with the checksum field as spaces. */
export function checksum(block: Uint8Array): { unsigned: number; signed: number } {
  let unsigned = 0, signed = 0;
  for (let at = 0; at < BLOCK; at++) {
    const byte = at >= 148 && at < 156 ? 32 : block[at]!;
    unsigned += byte;
    signed += byte < 128 ? byte : byte - 256;
  }
  return { unsigned, signed };
}

function checkChecksum(block: Uint8Array): void {
  const stored = parseNumber(block, 148, 8, "checksum");
  const { unsigned, signed } = checksum(block);
  // Some old tars summed signed chars; every reader takes both.
  if (stored !== unsigned && stored !== signed) throw new TarError("bad header checksum");
}

/** Text of a field up to its NUL. */
export function field(block: Uint8Array, start: number, length: number): string {
  let end = start;
  while (end < start + length && block[end] !== 0) end++;
  return byteString(block, start, end);
}

/**
 * An octal number (spaces and NULs around it), or GNU's base-256 where the first bit is set.
 *
 * @throws {TarError} when it is neither, or does not fit a safe integer.
 */
export function parseNumber(block: Uint8Array, start: number, length: number, what: string): number {
  const end = start + length;
  if (block[start]! & 0x80) return parseBase256(block, start, end, what);
  let at = start;
  while (at < end && (block[at] === 32 || block[at] === 0)) at++;
  let value = 0;
  for (; at < end; at++) {
    const byte = block[at]!;
    if (byte === 32 || byte === 0) break;
    if (byte < 48 || byte > 55) throw new TarError(`bad ${what} in header`);
    value = value * 8 + (byte - 48);
  }
  for (; at < end; at++) if (block[at] !== 32 && block[at] !== 0) throw new TarError(`bad ${what} in header`);
  return value;
}

function parseBase256(block: Uint8Array, start: number, end: number, what: string): number {
  const negative = (block[start]! & 0x40) !== 0;
  let value = BigInt(block[start]! & 0x3f) - (negative ? 64n : 0n);
  for (let at = start + 1; at < end; at++) value = value * 256n + BigInt(block[at]!);
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
    throw new TarError(`${what} in header is out of range`);
  }
  return Number(value);
}

export function nonNegative(value: number, what: string): number {
  if (value < 0) throw new TarError(`negative ${what} in header`);
  return value;
}

/** Writes octal with a NUL behind it, or base-256 where octal does not fit. */
export function writeNumber(block: Uint8Array, start: number, length: number, value: number): void {
  const octal = value >= 0 ? value.toString(8) : "";
  if (value >= 0 && octal.length < length) {
    writeText(block, start, octal.padStart(length - 1, "0"));
    return;
  }
  let rest = BigInt.asUintN(length * 8, BigInt(value));
  for (let at = start + length - 1; at >= start; at--) {
    block[at] = Number(rest & 255n);
    rest >>= 8n;
  }
  block[start]! |= 0x80;
}

/** Writes a byte string; the caller has checked that it fits. */
export function writeText(block: Uint8Array, start: number, text: string): void {
  for (let at = 0; at < text.length; at++) block[start + at] = text.charCodeAt(at);
}

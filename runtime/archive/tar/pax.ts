/**
 * pax extended headers: records `LENGTH KEY=VALUE\n` that override fields of the header that follows.
 *
 * @see POSIX.1-2017 pax, "pax Extended Header"; star(5), SCHILY.xattr; libarchive tar(5), LIBARCHIVE.xattr
 */

import { bytesOf, byteString } from "../byte_string.ts";
import { type TarEntry, TarError } from "./header.ts";

/** One record. The value is a byte string; GNU sparse 0.0 repeats keys, so order and doubles are kept. */
export type PaxRecord = readonly [key: string, value: string];

/** Splits the data of an `x` or `g` member. @throws {TarError} where the records do not add up. */
export function parsePax(data: Uint8Array): PaxRecord[] {
  const records: PaxRecord[] = [];
  let at = 0;
  while (at < data.length) {
    let length = 0;
    let digits = at;
    for (; digits < data.length && data[digits]! >= 48 && data[digits]! <= 57; digits++) {
      length = length * 10 + data[digits]! - 48;
      if (length > data.length) break;
    }
    const end = at + length;
    if (digits === at || data[digits] !== 32 || end > data.length || end <= digits + 1) {
      throw new TarError("bad pax record length");
    }
    if (data[end - 1] !== 10) throw new TarError("pax record without line end");
    const equals = data.indexOf(61, digits);
    if (equals === -1 || equals >= end) throw new TarError("pax record without =");
    const key = byteString(data, digits + 1, equals);
    if (key === "" || key.includes("\0")) throw new TarError("bad pax record key");
    records.push([key, byteString(data, equals + 1, end - 1)]);
    at = end;
  }
  return records;
}

/** Writes records, each with its own length in front. */
export function formatPax(records: readonly PaxRecord[]): Uint8Array<ArrayBuffer> {
  let text = "";
  for (const [key, value] of records) {
    const rest = key.length + value.length + 3;
    let length = rest + String(rest).length;
    if (rest + String(length).length !== length) length = rest + String(length).length;
    text += `${length} ${key}=${value}\n`;
  }
  return bytesOf(text);
}

/** Applies records to the entry they precede, in order; an empty value takes an earlier one back. */
export function applyPax(entry: TarEntry, records: readonly PaxRecord[]): void {
  const last = new Map<string, string>();
  for (const [key, value] of records) {
    last.delete(key);
    last.set(key, value);
  }
  for (const [key, value] of last) {
    const set = FIELDS[key];
    if (set !== undefined) {
      if (value !== "") set(entry, value);
    } else if (key.startsWith(SCHILY_XATTR)) {
      setXattr(entry, key.slice(SCHILY_XATTR.length), value === "" ? undefined : bytesOf(value));
    } else if (key.startsWith(LIBARCHIVE_XATTR) && value !== "") {
      const name = decodeLibarchiveName(key.slice(LIBARCHIVE_XATTR.length));
      // star's form is the richer one where both are there.
      if (!entry.xattrs?.has(name)) setXattr(entry, name, decodeBase64(value));
    }
  }
}

const SCHILY_XATTR = "SCHILY.xattr.";
const LIBARCHIVE_XATTR = "LIBARCHIVE.xattr.";

const FIELDS: Readonly<Record<string, (entry: TarEntry, value: string) => void>> = {
  __proto__: null as never,
  path: (entry, value) => entry.name = withoutNul(value, "path"),
  linkpath: (entry, value) => entry.linkname = withoutNul(value, "linkpath"),
  size: (entry, value) => entry.size = decimal(value, "size"),
  uid: (entry, value) => entry.uid = decimal(value, "uid"),
  gid: (entry, value) => entry.gid = decimal(value, "gid"),
  mtime: (entry, value) => [entry.mtime, entry.mtimeNs] = parseTime(value),
  atime: (entry, value) => [entry.atime, entry.atimeNs] = parseTime(value),
  "SCHILY.devmajor": (entry, value) => entry.devmajor = decimal(value, "SCHILY.devmajor"),
  "SCHILY.devminor": (entry, value) => entry.devminor = decimal(value, "SCHILY.devminor"),
};

function setXattr(entry: TarEntry, name: string, value: Uint8Array<ArrayBuffer> | undefined): void {
  if (name === "") throw new TarError("pax xattr without name");
  entry.xattrs ??= new Map();
  // An xattr may be empty (a bare flag), so an empty record is a value here, as in GNU tar and Go.
  entry.xattrs.set(name, value ?? new Uint8Array());
}

/** @throws {TarError} unless `text` is a plain decimal that fits a safe integer. */
export function decimal(text: string, what: string): number {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value)) throw new TarError(`bad pax ${what}`);
  return value;
}

/** `-1.5` is two seconds before 1970 and half a second on top; digits past nanoseconds are dropped. */
export function parseTime(text: string): [seconds: number, nanoseconds: number] {
  const match = /^(-?)([0-9]{1,15})(?:\.([0-9]*))?$/.exec(text);
  if (match === null) throw new TarError("bad pax time");
  const seconds = Number(match[2]);
  const nanoseconds = Number((match[3] ?? "").slice(0, 9).padEnd(9, "0"));
  if (match[1] === "") return [seconds, nanoseconds];
  return nanoseconds === 0 ? [0 - seconds, 0] : [-seconds - 1, 1_000_000_000 - nanoseconds];
}

/** The reverse of `parseTime`, without trailing zeros. */
export function formatTime(seconds: number, nanoseconds: number): string {
  if (nanoseconds === 0) return String(seconds);
  const negative = seconds < 0;
  const whole = negative ? -(seconds + 1) : seconds;
  const part = String(negative ? 1_000_000_000 - nanoseconds : nanoseconds).padStart(9, "0");
  return `${negative ? "-" : ""}${whole}.${part.replace(/0+$/, "")}`;
}

function withoutNul(value: string, what: string): string {
  // Readers that cut at the NUL and readers that do not would see two different archives.
  if (value.includes("\0")) throw new TarError(`NUL in pax ${what}`);
  return value;
}

function decodeLibarchiveName(name: string): string {
  return name.replace(/%([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    throw new TarError("bad pax LIBARCHIVE.xattr value");
  }
}

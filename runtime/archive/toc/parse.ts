/**
 * Reads the JSON that eStargz and zstd:chunked share (both come from CRFS), strictly: what does not add up is refused.
 *
 * ```
 * {"version":1,"entries":[{"type":"reg","name":"a","size":9,"offset":512,"chunkSize":5,"chunkDigest":…},
 *                         {"type":"chunk","name":"a","offset":700,"chunkOffset":5,"chunkDigest":…}, …]}
 * ```
 *
 * @see stargz-snapshotter docs/estargz.md, "TOC"; containers/storage pkg/chunked/internal/minimal
 */

import { isDigest } from "../../spec/digest.ts";
import { bytesOf, byteStringOf } from "../byte_string.ts";
import type { TarType } from "../tar.ts";
import { TYPE_FLAGS } from "../tar/writer.ts";
import { type LayerToc, TOC_LIMITS, type TocChunk, type TocEntry, TocError } from "./model.ts";

const TYPES: Readonly<Record<string, TarType>> = {
  dir: "directory",
  reg: "file",
  symlink: "symlink",
  hardlink: "hardlink",
  char: "char",
  block: "block",
  fifo: "fifo",
};
const MAX_PATH = 4095, MAX_NAME = 255, MAX_ID = 0xfffffffe;

type Fields = Record<string, unknown>;

export interface TocBounds {
  /** All data lies before. */
  dataEnd: number;
  /** Files and chunks that begin in the same place (eStargz only). */
  sharesMembers: boolean;
  /** What all files together may unpack to. */
  limitBytes: number;
  /** Members of the archive that the format brought itself. */
  ignored?: ReadonlySet<string>;
}

/**
 * @param json the verified bytes of the table
 * @throws {TocError}
 */
export function parseToc(json: Uint8Array, bounds: TocBounds): LayerToc {
  if (json.length > TOC_LIMITS.bytes) refuse(`it is larger than ${TOC_LIMITS.bytes} bytes`);
  const list = entryList(json);
  const reader = new EntryReader(bounds);
  for (const [at, item] of list.entries()) {
    if (item === null || typeof item !== "object" || Array.isArray(item)) refuse(`entry ${at} is no object`);
    reader.add(item as Fields);
  }
  return { entries: reader.finish(), dataEnd: bounds.dataEnd, prefetchEnd: reader.prefetchEnd };
}

function entryList(json: Uint8Array): unknown[] {
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json));
  } catch {
    refuse("it is no JSON document");
  }
  const { version, entries } = (document ?? {}) as Fields;
  if (version !== 1) refuse("its version is not 1");
  if (!Array.isArray(entries)) refuse("it has no entries");
  if (entries.length > TOC_LIMITS.entries) refuse(`it has more than ${TOC_LIMITS.entries} entries`);
  return entries;
}

class EntryReader {
  prefetchEnd = 0;
  readonly #entries: TocEntry[] = [];
  /** By clean name. */
  readonly #types = new Map<string, TarType>();
  /** The file whose chunks may follow, and the name it has in the table. */
  #file: { entry: TocEntry; name: string; end: number } | undefined;
  /** Chunks whose end is where the next one begins. */
  #open: TocChunk[] = [];
  #lastOffset = 0;
  #total = 0;
  /** Folders that are only named by what is in them. */
  #implied = 0;

  constructor(private readonly bounds: TocBounds) {}

  add(fields: Fields): void {
    const name = text(fields, "name");
    if (fields.type === "chunk") return this.#chunk(fields, name);
    this.#finishFile();
    const path = cleanName(name);
    const type = Object.hasOwn(TYPES, String(fields.type)) ? TYPES[String(fields.type)]! : undefined;
    if (type === undefined) refuse(`"${shown(name)}" is of an unknown type`);
    if (this.bounds.ignored?.has(path)) {
      if (path === PREFETCH_LANDMARK) {
        this.prefetchEnd = Math.min(whole(fields, "offset"), this.bounds.dataEnd);
      }
      return;
    }
    if (this.#types.has(path)) refuse(`"${shown(name)}" is there twice`);
    this.#types.set(path, type);
    const entry = readEntry(fields, path, type);
    this.#entries.push(entry);
    if (type !== "file") return;
    this.#total += entry.size;
    if (this.#total > this.bounds.limitBytes) {
      refuse(`its files have more than ${this.bounds.limitBytes} bytes`);
    }
    if (entry.size === 0) return;
    this.#file = { entry, name, end: whole(fields, "endOffset") };
    this.#piece(fields, 0);
  }

  finish(): TocEntry[] {
    this.#finishFile();
    this.#close(this.bounds.dataEnd);
    for (const entry of this.#entries) this.#checkPlace(entry);
    return this.#entries;
  }

  #chunk(fields: Fields, name: string): void {
    if (this.#file === undefined || name !== this.#file.name) {
      refuse(`a chunk of "${shown(name)}" does not follow it`);
    }
    this.#piece(fields, whole(fields, "chunkOffset"));
  }

  #piece(fields: Fields, fileOffset: number): void {
    const { entry, name } = this.#file!;
    const before = entry.chunks.at(-1);
    const covered = before === undefined ? 0 : before.fileOffset + before.size;
    // the piece before has no size where it goes on to this one
    if (fileOffset !== covered) refuse(`the chunks of "${shown(name)}" leave a gap or overlap`);
    const said = whole(fields, "chunkSize");
    const size = said === 0 ? entry.size - fileOffset : said;
    if (size <= 0 || fileOffset + size > entry.size) refuse(`a chunk of "${shown(name)}" is outside of it`);
    const offset = whole(fields, "offset");
    const innerOffset = this.bounds.sharesMembers ? whole(fields, "innerOffset") : 0;
    if (offset >= this.bounds.dataEnd) refuse(`data of "${shown(name)}" lies behind the end of the data`);
    if (offset < this.#lastOffset || (offset === this.#lastOffset && !this.#mayShare(innerOffset))) {
      refuse(`data of "${shown(name)}" overlaps what is before it`);
    }
    if (innerOffset > this.bounds.limitBytes) refuse(`data of "${shown(name)}" lies too far in its member`);
    if (offset !== this.#lastOffset) this.#close(offset);
    this.#lastOffset = offset;
    const digest = optionalDigest(fields, "chunkDigest", name);
    const kind = fields.chunkType;
    if (kind !== undefined && kind !== "" && kind !== "zeros") {
      refuse(`a chunk of "${shown(name)}" is of an unknown type`);
    }
    const chunk: TocChunk = {
      offset,
      end: this.bounds.dataEnd,
      innerOffset,
      fileOffset,
      size,
      digest,
      isZeros: kind === "zeros",
    };
    entry.chunks.push(chunk);
    this.#open.push(chunk);
  }

  #mayShare(innerOffset: number): boolean {
    if (!this.bounds.sharesMembers) return this.#open.length === 0;
    const before = this.#open.at(-1);
    return before === undefined || innerOffset >= before.innerOffset + before.size;
  }

  /** What begins at `offset` ends the chunks before it. */
  #close(offset: number): void {
    for (const chunk of this.#open) chunk.end = Math.min(chunk.end, offset);
    this.#open = [];
  }

  #finishFile(): void {
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    const { entry, name, end } = file;
    const last = entry.chunks.at(-1)!;
    if (last.fileOffset + last.size !== entry.size) {
      refuse(`the chunks of "${shown(name)}" do not reach its end`);
    }
    if (entry.chunks.length === 1) last.digest ??= entry.digest;
    if (entry.chunks.some((chunk) => chunk.digest === undefined && !chunk.isZeros)) {
      refuse(`data of "${shown(name)}" has no digest`);
    }
    if (end === 0) return;
    // zstd:chunked says where a file's data ends
    if (end <= last.offset || end > this.bounds.dataEnd) {
      refuse(`data of "${shown(name)}" ends in a wrong place`);
    }
    last.end = end;
    this.#lastOffset = end;
    this.#open = [];
  }

  /** What is above an entry is a folder, and what a hard link names is a file of the table. */
  #checkPlace(entry: TocEntry): void {
    const slash = entry.name.lastIndexOf("/");
    for (let at = slash; at > 0; at = entry.name.lastIndexOf("/", at - 1)) {
      const above = this.#types.get(entry.name.slice(0, at));
      if (above === "directory") break;
      if (above !== undefined) refuse(`"${shown(entry.name)}" lies below what is no folder`);
      this.#types.set(entry.name.slice(0, at), "directory");
      if (++this.#implied > TOC_LIMITS.impliedFolders) refuse("too many of its folders have no entry");
    }
    if (entry.name === "" && entry.type !== "directory") refuse("the root is no folder");
    if (entry.type !== "hardlink") return;
    const target = this.#types.get(entry.linkname);
    if (target === undefined || target === "directory" || target === "hardlink") {
      refuse(`"${shown(entry.name)}" is a hard link to what is no file`);
    }
  }
}

/** The end of what is to be fetched first. @see estargz.md, "Prioritized Files and Landmark Files" */
export const PREFETCH_LANDMARK = ".prefetch.landmark";

function readEntry(fields: Fields, path: string, type: TarType): TocEntry {
  const link = fields.linkName ?? "";
  if (typeof link !== "string" || link.includes("\0") || link.length > MAX_PATH) {
    refuse(`the target of "${shown(path)}" is no path`);
  }
  if (type === "symlink" && link === "") refuse(`"${shown(path)}" is a symlink without target`);
  const uid = whole(fields, "uid"), gid = whole(fields, "gid");
  if (uid > MAX_ID || gid > MAX_ID) refuse(`the owner of "${shown(path)}" is no valid id`);
  const xattrs = readXattrs(fields.xattrs, path);
  return {
    name: path,
    linkname: type === "hardlink" ? cleanName(link) : byteStringOf(link),
    type,
    typeflag: TYPE_FLAGS[type]!,
    // Go's bits of the file type are no permissions
    mode: whole(fields, "mode") % 0o10000,
    uid,
    gid,
    size: type === "file" ? whole(fields, "size") : 0,
    ...readTime(fields, path),
    devmajor: whole(fields, "devMajor"),
    devminor: whole(fields, "devMinor"),
    ...(xattrs === undefined ? {} : { xattrs }),
    digest: type === "file" ? optionalDigest(fields, "digest", path) : undefined,
    chunks: [],
  };
}

/** RFC 3339; without it the time is 1970, as Go's zero header has it. */
function readTime(fields: Fields, path: string): { mtime: number; mtimeNs: number } {
  const said = fields.modtime;
  if (said === undefined || said === null || said === "") return { mtime: 0, mtimeNs: 0 };
  const parts = typeof said === "string" && said.length < 64
    ? /^(.{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(said)
    : null;
  const ms = parts === null ? NaN : Date.parse(parts[1]! + parts[3]!);
  if (Number.isNaN(ms)) refuse(`the time of "${shown(path)}" is none`);
  return { mtime: ms / 1000, mtimeNs: Number((parts![2] ?? "").padEnd(9, "0")) };
}

function readXattrs(said: unknown, path: string): Map<string, Uint8Array<ArrayBuffer>> | undefined {
  if (said === undefined || said === null) return undefined;
  if (typeof said !== "object" || Array.isArray(said)) refuse(`the attributes of "${shown(path)}" are none`);
  const pairs = Object.entries(said as Fields);
  if (pairs.length > TOC_LIMITS.xattrsPerEntry) refuse(`"${shown(path)}" has too many attributes`);
  const xattrs = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const [name, value] of pairs) {
    let bytes: Uint8Array<ArrayBuffer> | undefined;
    try {
      bytes = typeof value === "string" ? bytesOf(atob(value)) : undefined;
    } catch {
      // no base64
    }
    if (bytes === undefined) refuse(`an attribute of "${shown(path)}" is no base64`);
    xattrs.set(byteStringOf(name), bytes);
  }
  return xattrs.size === 0 ? undefined : xattrs;
}

/** Clean and relative, as a byte string. */
export function cleanName(name: string): string {
  if (name.includes("\0")) refuse(`"${shown(name)}" has a NUL in it`);
  const parts = byteStringOf(name).split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) refuse(`"${shown(name)}" contains ..`);
  const path = parts.join("/");
  if (path.length > MAX_PATH || parts.some((part) => part.length > MAX_NAME)) {
    refuse(`"${shown(name)}" is too long`);
  }
  return path;
}

function text(fields: Fields, key: string): string {
  const value = fields[key];
  if (typeof value !== "string" || value === "") refuse(`an entry has no ${key}`);
  return value;
}

/** A number that is not negative; absent is 0. */
function whole(fields: Fields, key: string): number {
  const value = fields[key] ?? 0;
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    refuse(`${key} of "${shown(String(fields.name))}" is no size`);
  }
  return value as number;
}

function optionalDigest(fields: Fields, key: string, name: string) {
  const value = fields[key];
  if (value === undefined || value === null || value === "") return undefined;
  if (!isDigest(value)) refuse(`the digest of "${shown(name)}" is malformed`);
  return value;
}

function shown(name: string): string {
  // deno-lint-ignore no-control-regex -- they are what is looked for
  return name.slice(0, 200).replace(/[\x00-\x1f\x7f-\x9f"\u202a-\u202e\u2066-\u2069]/g, "?");
}

function refuse(why: string): never {
  throw new TocError(`table of contents: ${why}`);
}

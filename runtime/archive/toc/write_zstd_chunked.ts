/**
 * Packs an archive as zstd:chunked (zstd_chunked.ts draws it), in one pass: its bytes come out of any zstd as they were.
 *
 * @see containers/storage pkg/chunked/compressor
 */

import { createHash } from "node:crypto";
import { UnsupportedError } from "../../errors.ts";
import type { Digest } from "../../spec/digest.ts";
import { bytesOf, displayName } from "../byte_string.ts";
import type { ChunkSource } from "../chunks.ts";
import { ZstdHandle } from "../deflate_handle.ts";
import { type TarEntry, TarReader, type TarType } from "../tar.ts";
import { TarSplitWriter } from "./tar_split.ts";
import {
  SKIPPABLE_HEADER_BYTES,
  ZSTD_CHUNKED,
  ZSTD_CHUNKED_FOOTER_BYTES,
  ZSTD_CHUNKED_MAGIC,
  ZSTD_CHUNKED_TOC_TYPE,
} from "./zstd_chunked.ts";

type Sink = (bytes: Uint8Array<ArrayBuffer>) => void;

/** Larger files are cut: who reads a part of one fetches no more than this besides. */
const CHUNK_BYTES = 256 << 10;
/** Headers of one member: those of real ones are a few kilobytes. */
const HEADERS_LIMIT = 64 << 20;
const SKIPPABLE_MAGIC = 0x184d2a50;

const TYPE_NAMES: Readonly<Partial<Record<TarType, string>>> = {
  file: "reg",
  directory: "dir",
  symlink: "symlink",
  hardlink: "hardlink",
  char: "char",
  block: "block",
  fifo: "fifo",
};
/** What RFC 3339 and Go can say: the years 1 to 9999. */
const FIRST_SECOND = -62_135_596_800, LAST_SECOND = 253_402_300_799;

/**
 * @returns annotations of the layer's descriptor
 * @throws {UnsupportedError} for what a table cannot name: sparse files, names that are no UTF-8
 */
export function writeZstdChunked(content: ChunkSource, sink: Sink, level?: number): Record<string, string> {
  const tape = new Tape(content);
  const reader = new TarReader(tape);
  const blob = new FrameWriter(sink, level);
  const split = new TarSplitWriter();
  const entries: unknown[] = [];
  const writeRaw = () => {
    const bytes = tape.take(reader.position);
    if (bytes.length === 0) return;
    blob.write(bytes);
    split.segment(bytes);
  };
  for (let entry = reader.next(); entry !== null; entry = reader.next()) {
    writeRaw();
    entries.push(...fieldsOf(entry, entry.size > 0 ? writeData(entry, { reader, tape, blob, split }) : []));
    split.file(entry.name, entry.size);
  }
  writeRaw();
  blob.endFrame();
  return blob.finish(split.json(), entries, level);
}

interface Piece {
  offset: number;
  end: number;
  fileOffset: number;
  size: number;
  digest: Digest;
}

interface Passage {
  reader: TarReader;
  tape: Tape;
  blob: FrameWriter;
  split: TarSplitWriter;
}

/** The data of a file in frames of its own; the digest of all of it is the last piece's, whose size is 0. */
function writeData(entry: TarEntry, { reader, tape, blob, split }: Passage): Piece[] {
  if (entry.sparse !== undefined) throw refused(entry.name, "sparse files");
  blob.endFrame();
  const pieces: Piece[] = [];
  const whole = createHash("sha256");
  let part = createHash("sha256"), size = 0, offset = blob.offset, fileOffset = 0;
  const close = () => {
    blob.endFrame();
    pieces.push({ offset, end: blob.offset, fileOffset, size, digest: digestFrom(part) });
    fileOffset += size;
    [part, size, offset] = [createHash("sha256"), 0, blob.offset];
  };
  for (let data = reader.read(); data !== null; data = reader.read()) {
    tape.take(reader.position);
    for (let at = 0; at < data.length;) {
      const bytes = data.subarray(at, at + CHUNK_BYTES - size);
      for (const taker of [whole, part]) taker.update(bytes);
      split.data(bytes);
      blob.write(bytes);
      at += bytes.length;
      size += bytes.length;
      if (size === CHUNK_BYTES) close();
    }
  }
  if (size > 0) close();
  pieces.push({ offset: blob.offset, end: blob.offset, fileOffset, size: 0, digest: digestFrom(whole) });
  return pieces;
}

function digestFrom(hash: ReturnType<typeof createHash>): Digest {
  return `sha256:${hash.digest("hex")}` as Digest;
}

/** A member as the table has it: one entry, and one more for each piece of its data after the first. */
function fieldsOf(entry: TarEntry, pieces: Piece[]): unknown[] {
  const type = TYPE_NAMES[entry.type];
  if (type === undefined) throw refused(entry.name, `members of type ${JSON.stringify(entry.typeflag)}`);
  const { mode, uid, gid, size, devmajor, devminor, xattrs } = entry;
  const name = textOf(entry.name);
  const present = (fields: Record<string, number>) =>
    Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== 0));
  const own = {
    type,
    name,
    ...(entry.linkname === "" ? {} : { linkName: textOf(entry.linkname) }),
    ...present({ mode, size, uid, gid }),
    modtime: timeOf(entry),
    ...present({ devMajor: devmajor, devMinor: devminor }),
    ...(xattrs === undefined ? {} : { xattrs: encoded(xattrs) }),
  };
  const data = pieces.slice(0, -1);
  if (data.length === 0) return [own];
  const first = {
    ...own,
    digest: pieces.at(-1)!.digest,
    offset: data[0]!.offset,
    endOffset: data.at(-1)!.end,
  };
  if (data.length === 1) return [first];
  return data.map((piece, at) => ({
    ...(at === 0 ? first : { type: "chunk", name, offset: piece.offset, chunkOffset: piece.fileOffset }),
    chunkSize: piece.size,
    chunkDigest: piece.digest,
  }));
}

function timeOf({ mtime, mtimeNs }: TarEntry): string {
  const second = Math.min(Math.max(mtime, FIRST_SECOND), LAST_SECOND);
  const whole = new Date(second * 1000).toISOString().slice(0, 19);
  const fraction = `${mtimeNs}`.padStart(9, "0").replace(/0+$/, "");
  return `${whole}${fraction === "" ? "" : `.${fraction}`}Z`;
}

function encoded(xattrs: ReadonlyMap<string, Uint8Array>): Record<string, string> {
  return Object.fromEntries([...xattrs].map(([name, value]) => [textOf(name), value.toBase64()]));
}

function textOf(name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytesOf(name));
  } catch {
    throw refused(name, "names that are no UTF-8");
  }
}

function refused(name: string, what: string): UnsupportedError {
  return new UnsupportedError(`pack layer as zstd:chunked: its table has no room for ${what}`, {
    hint: `"${displayName(name)}" is one; use --compression-format zstd`,
  });
}

/** The archive's bytes once more, as far as nobody has taken them. */
class Tape implements ChunkSource {
  #kept: Uint8Array<ArrayBuffer>[] = [];
  /** Where the kept bytes begin and end in the archive. */
  #start = 0;
  #end = 0;

  constructor(private readonly source: ChunkSource) {}

  next(): Uint8Array<ArrayBuffer> | null {
    const chunk = this.source.next();
    if (chunk === null) return null;
    this.#kept.push(chunk.slice());
    this.#end += chunk.length;
    if (this.#end - this.#start > HEADERS_LIMIT) {
      throw new UnsupportedError(`pack layer as zstd:chunked: headers of more than ${HEADERS_LIMIT} bytes`);
    }
    return chunk;
  }

  /** What comes before `position` and was not taken yet. */
  take(position: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(position - this.#start);
    for (let at = 0; at < bytes.length;) {
      const first = this.#kept[0]!;
      const piece = first.subarray(0, bytes.length - at);
      bytes.set(piece, at);
      at += piece.length;
      if (piece.length === first.length) this.#kept.shift();
      else this.#kept[0] = first.subarray(piece.length);
    }
    this.#start = position;
    return bytes;
  }
}

/** What is written, in frames. */
class FrameWriter {
  offset = 0;
  readonly #zstd: ZstdHandle;
  readonly #out: Sink;
  #isOpen = false;

  constructor(sink: Sink, level: number | undefined) {
    this.#zstd = new ZstdHandle(level);
    this.#out = (bytes) => {
      this.offset += bytes.length;
      sink(bytes);
    };
  }

  write(bytes: Uint8Array): void {
    this.#zstd.write(bytes, this.#out);
    this.#isOpen = true;
  }

  /** What is written next begins another frame, at `offset`. */
  endFrame(): void {
    if (this.#isOpen) this.#zstd.finish(this.#out);
    this.#isOpen = false;
  }

  finish(tarSplit: Uint8Array, entries: unknown[], level: number | undefined): Record<string, string> {
    const packedSplit = packed(tarSplit, level);
    const splitDigest = digestFrom(createHash("sha256").update(packedSplit));
    const document = { version: 1, entries, tarSplitDigest: splitDigest };
    const table = new TextEncoder().encode(JSON.stringify(document));
    const packedTable = packed(table, level);
    const tableNumbers = [
      this.#skippable(packedTable),
      packedTable.length,
      table.length,
      ZSTD_CHUNKED_TOC_TYPE,
    ];
    const splitNumbers = [this.#skippable(packedSplit), packedSplit.length, tarSplit.length];
    const footer = new DataView(new ArrayBuffer(ZSTD_CHUNKED_FOOTER_BYTES));
    for (const [at, number] of [...tableNumbers, ...splitNumbers].entries()) {
      footer.setBigUint64(at * 8, BigInt(number), true);
    }
    const bytes = new Uint8Array(footer.buffer);
    bytes.set(bytesOf(ZSTD_CHUNKED_MAGIC), bytes.length - ZSTD_CHUNKED_MAGIC.length);
    this.#skippable(bytes);
    return {
      [ZSTD_CHUNKED.manifestChecksum]: digestFrom(createHash("sha256").update(packedTable)),
      [ZSTD_CHUNKED.manifestPosition]: tableNumbers.join(":"),
      [ZSTD_CHUNKED.tarSplitChecksum]: splitDigest,
      [ZSTD_CHUNKED.tarSplitPosition]: splitNumbers.join(":"),
    };
  }

  /** @returns where the content lies */
  #skippable(content: Uint8Array<ArrayBuffer>): number {
    const header = new DataView(new ArrayBuffer(SKIPPABLE_HEADER_BYTES));
    header.setUint32(0, SKIPPABLE_MAGIC, true);
    header.setUint32(4, content.length, true);
    this.#out(new Uint8Array(header.buffer));
    const offset = this.offset;
    this.#out(content);
    return offset;
  }
}

function packed(bytes: Uint8Array, level: number | undefined): Uint8Array<ArrayBuffer> {
  const out: Uint8Array[] = [];
  const handle = new ZstdHandle(level);
  const keep: Sink = (piece) => void out.push(piece.slice());
  handle.write(bytes, keep);
  handle.finish(keep);
  const whole = new Uint8Array(out.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of out) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

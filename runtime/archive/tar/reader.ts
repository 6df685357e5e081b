/** A streaming, synchronous reader: members in order, their data in pieces that are not copied. */

import type { ChunkSource } from "../chunks.ts";
import { byteString } from "../byte_string.ts";
import {
  BLOCK,
  hasData,
  headerFormat,
  isZeroBlock,
  parseHeader,
  type SparseSegment,
  type TarEntry,
  TarError,
} from "./header.ts";
import { applyPax, parsePax, type PaxRecord } from "./pax.ts";
import { checkSegments, paxSparse, readOldGnuSparse, readSparseMap10 } from "./sparse.ts";

/** Extended headers and long names larger than this are refused, as in Go's archive/tar. */
const MAX_EXTENDED = 1 << 20;

/**
 * Reads an archive from pieces of any size.
 *
 * Only zeros may follow the end of the archive (two zero blocks); an archive that just stops after a
 * member is whole, as every tar reads it, one that stops within a member or header is truncated.
 */
export class TarReader {
  /** Where in the file the piece that `read` gave belongs; differs from a running sum for sparse files only. */
  fileOffset = 0;
  #chunks: ChunkSource;
  #chunk: Uint8Array<ArrayBuffer> = new Uint8Array();
  /** Bytes of the archive before `#chunk`. */
  #before = 0;
  #at = 0;
  #straddle = new Uint8Array(BLOCK);
  /** Stored bytes of the current member not yet read, and the padding behind them. */
  #remaining = 0;
  #padding = 0;
  #segments: SparseSegment[] | undefined;
  #segment = 0;
  #segmentDone = 0;
  #globals: PaxRecord[] = [];
  #ended = false;

  constructor(chunks: ChunkSource) {
    this.#chunks = chunks;
  }

  /** Bytes of the archive consumed so far: after `next`, where the member's stored data begins. */
  get position(): number {
    return this.#before + this.#at;
  }

  /** The next member, past what is left of the one before; null at the end. @throws {TarError} */
  next(): TarEntry | null {
    if (this.#ended) return null;
    this.#skip(this.#remaining + this.#padding);
    this.#remaining = this.#padding = 0;
    let locals: PaxRecord[] = [];
    let longName: string | undefined, longLink: string | undefined;
    let pending = false;
    for (;;) {
      const header = this.#block(true);
      if (header === null || isZeroBlock(header)) {
        if (pending) throw new TarError("truncated archive: an extended header without its member");
        if (header !== null) this.#expectZeros();
        this.#ended = true;
        return null;
      }
      const entry = parseHeader(header);
      switch (entry.typeflag) {
        case "x":
        case "X":
          locals = locals.concat(parsePax(this.#extended(entry)));
          break;
        case "g":
          this.#globals = mergeGlobals(this.#globals, parsePax(this.#extended(entry)));
          continue;
        case "L":
          longName = longText(this.#extended(entry));
          break;
        case "K":
          longLink = longText(this.#extended(entry));
          break;
        default:
          return this.#begin(entry, header, locals, longName, longLink);
      }
      pending = true;
    }
  }

  /**
   * The next piece of the current member's data, valid until the next call; null at its end. Holes of a
   * sparse file are left out: `fileOffset` says where the piece goes.
   */
  read(): Uint8Array<ArrayBuffer> | null {
    if (this.#remaining === 0) return null;
    if (this.#at === this.#chunk.length && !this.#refill()) throw new TarError("truncated archive");
    let length = Math.min(this.#remaining, this.#chunk.length - this.#at);
    if (this.#segments !== undefined) {
      while (this.#segmentDone === this.#segments[this.#segment]!.length) {
        this.#segment++;
        this.#segmentDone = 0;
      }
      const segment = this.#segments[this.#segment]!;
      length = Math.min(length, segment.length - this.#segmentDone);
      this.fileOffset = segment.offset + this.#segmentDone;
      this.#segmentDone += length;
    } else {
      this.fileOffset = this.#segmentDone;
      this.#segmentDone += length;
    }
    const piece = this.#chunk.subarray(this.#at, this.#at + length);
    this.#at += length;
    this.#remaining -= length;
    return piece;
  }

  #begin(
    entry: TarEntry,
    header: Uint8Array,
    locals: PaxRecord[],
    longName: string | undefined,
    longLink: string | undefined,
  ): TarEntry {
    if (longName !== undefined) entry.name = longName;
    if (longLink !== undefined) entry.linkname = longLink;
    const records = this.#globals.length === 0 ? locals : [...this.#globals, ...locals];
    if (records.length > 0) applyPax(entry, records);
    let stored = hasData(entry.type) ? entry.size : 0;
    if (!hasData(entry.type)) entry.size = 0;
    this.#padding = (BLOCK - stored % BLOCK) % BLOCK;
    this.#segments = undefined;
    this.#segment = this.#segmentDone = 0;
    const sparse = entry.type === "file" && records.length > 0 ? paxSparse(records) : null;
    if (sparse !== null) {
      if (sparse.name !== undefined) entry.name = sparse.name;
      entry.size = sparse.realSize;
      this.#segments = sparse.segments;
      if (sparse.version === "1.0") {
        const map = readSparseMap10(() => this.#dataBlock(stored));
        stored -= map.taken;
        if (stored < 0) throw new TarError("sparse map larger than its member");
        this.#segments = map.segments;
      }
    } else if (entry.typeflag === "S" && headerFormat(header) === "gnu") {
      this.#segments = readOldGnuSparse(entry, header.slice(), () => this.#block(false)!);
    }
    if (this.#segments !== undefined) {
      checkSegments(this.#segments, entry.size, stored);
      entry.sparse = this.#segments;
    }
    this.#remaining = stored;
    return entry;
  }

  #dataBlock(stored: number): Uint8Array {
    if (stored < BLOCK) throw new TarError("sparse map larger than its member");
    return this.#block(false)!;
  }

  /** The data of an extended header, whole. */
  #extended(entry: TarEntry): Uint8Array {
    if (entry.size > MAX_EXTENDED) throw new TarError(`extended header of ${entry.size} bytes is too large`);
    const data = new Uint8Array(Math.ceil(entry.size / BLOCK) * BLOCK);
    for (let at = 0; at < data.length; at += BLOCK) data.set(this.#block(false)!, at);
    return data.subarray(0, entry.size);
  }

  /** The next 512 bytes, valid until the next call. null at a clean end, where `mayEnd` allows one. */
  #block(mayEnd: boolean): Uint8Array | null {
    if (this.#chunk.length - this.#at >= BLOCK) {
      this.#at += BLOCK;
      return this.#chunk.subarray(this.#at - BLOCK, this.#at);
    }
    let filled = 0;
    while (filled < BLOCK) {
      if (this.#at === this.#chunk.length && !this.#refill()) {
        if (mayEnd && filled === 0) return null;
        throw new TarError("truncated archive");
      }
      const length = Math.min(BLOCK - filled, this.#chunk.length - this.#at);
      this.#straddle.set(this.#chunk.subarray(this.#at, this.#at + length), filled);
      this.#at += length;
      filled += length;
    }
    return this.#straddle;
  }

  #skip(count: number): void {
    while (count > 0) {
      if (this.#at === this.#chunk.length && this.#chunks.skip !== undefined) {
        const skipped = this.#chunks.skip(count);
        this.#before += skipped;
        count -= skipped;
        if (count === 0) return;
      }
      if (this.#at === this.#chunk.length && !this.#refill()) throw new TarError("truncated archive");
      const length = Math.min(count, this.#chunk.length - this.#at);
      this.#at += length;
      count -= length;
    }
  }

  #refill(): boolean {
    const chunk = this.#chunks.next();
    if (chunk === null || chunk.length === 0) return false;
    this.#before += this.#chunk.length;
    this.#chunk = chunk;
    this.#at = 0;
    return true;
  }

  /** Reads to the very end, so that whoever hashes the stream has all of it. */
  #expectZeros(): void {
    for (;;) {
      const chunk = this.#chunk;
      for (let at = this.#at; at < chunk.length; at++) {
        if (chunk[at] !== 0) throw new TarError("data after the end of the archive");
      }
      this.#at = chunk.length;
      if (!this.#refill()) return;
    }
  }
}

/** A later global record replaces an earlier one of the same key. */
function mergeGlobals(before: PaxRecord[], now: PaxRecord[]): PaxRecord[] {
  const keys = new Set(now.map(([key]) => key));
  const merged = before.filter(([key]) => !keys.has(key)).concat(now);
  if (merged.length > 10_000) throw new TarError("too many global pax records");
  return merged;
}

function longText(data: Uint8Array): string {
  const end = data.indexOf(0);
  return byteString(data, 0, end === -1 ? data.length : end);
}

/** Gets pieces of a layer from its registry, or from its blob once that is here, and keeps those that are sound. */
import { GunzipSource } from "../archive/gzip.ts";
import { type ByteSource, readFully } from "../archive/chunks.ts";
import type { LayerToc } from "../archive/toc/model.ts";
import { ZstdSource } from "../archive/zstd.ts";
import { RegistryError, VerificationError } from "../errors.ts";
import { LAYER_COMPRESSION } from "../spec/image.ts";
import type { Folders } from "../state/folders.ts";
import { blobPath, hasBlob } from "../storage/blobs.ts";
import { type CachedChunk, isSound, LazyCache } from "../storage/lazy/cache.ts";
import type { LazyContent } from "../storage/lazy/handler.ts";
import { lazyFolder, type LazyRecord } from "../storage/lazy/records.ts";
import { streamFile, type StreamRange } from "./layer_toc.ts";
import { MAX_WINDOW_BYTES, ReadAhead } from "./read_ahead.ts";

const SKIP_BYTES = 64 << 10;

const DOWN_MS = 10_000;
/** A larger one is given back to the system: fresh memory costs as much as what is done in it. */
const KEPT_BUFFER_BYTES = 8 << 20;

/** A gzip member or zstd frame that is fetched, and the pieces in it in their order. */
interface Member {
  offset: number;
  end: number;
  chunks: CachedChunk[];
}

export class LazyLayerContent implements Disposable {
  readonly #cache: LazyCache;
  readonly #inFlight = new Map<number, PromiseWithResolvers<void>>();
  readonly #ahead = new ReadAhead();
  readonly #isZstd: boolean;
  readonly #packed = new Buffers();
  readonly #unpacked = new Buffers();
  /** The registry failed, and until when nobody asks it: a program that reads on would wait each time. */
  #down: { error: RegistryError; until: number } | undefined;

  constructor(
    private readonly folders: Folders,
    key: string,
    private readonly record: LazyRecord,
    private readonly toc: LayerToc,
    private readonly remote: StreamRange,
    /** Called at each piece that somebody waits for, or soon will. */
    private readonly onMiss: () => void,
  ) {
    this.#cache = new LazyCache(lazyFolder(folders, key), toc);
    this.#isZstd = LAYER_COMPRESSION[record.layer.mediaType] === "zstd";
  }

  [Symbol.dispose](): void {
    this.#cache[Symbol.dispose]();
  }

  readHere(chunks: readonly CachedChunk[], offset: number, into: Uint8Array<ArrayBuffer>): boolean {
    if (!this.copyHere(chunks, offset, into)) return false;
    const last = chunks.at(-1);
    if (last !== undefined) this.#readOn(last, offset + into.length);
    return true;
  }

  copyHere(chunks: readonly CachedChunk[], offset: number, into: Uint8Array<ArrayBuffer>): boolean {
    if (!chunks.every((chunk) => this.#cache.has(chunk))) return false;
    return chunks.every((chunk) => {
      const from = Math.max(offset, chunk.fileOffset);
      const end = Math.min(offset + into.length, chunk.fileOffset + chunk.size);
      return this.#cache.read(chunk, from - chunk.fileOffset, into.subarray(from - offset, end - offset));
    });
  }

  chunksOf(...asked: Parameters<LazyCache["chunksOf"]>): CachedChunk[] {
    return this.#cache.chunksOf(...asked);
  }

  /** @throws VerificationError, RegistryError */
  async fetch(chunks: readonly CachedChunk[]): Promise<void> {
    for (const chunk of chunks) {
      if (this.#cache.has(chunk)) continue;
      this.onMiss();
      if (this.#isDown()) throw this.#down!.error;
      await this.#fetchFrom(chunk).catch((error) => {
        if (error instanceof RegistryError) this.#down = { error, until: performance.now() + DOWN_MS };
        throw error;
      });
    }
  }

  /** What the layer says is needed first. */
  async prefetch(): Promise<void> {
    for (const chunk of this.#cache.chunks) {
      if (chunk.offset >= this.toc.prefetchEnd) return;
      if (!this.#cache.has(chunk)) await this.#fetchFrom(chunk, MAX_WINDOW_BYTES);
    }
  }

  #isDown(): boolean {
    return this.#down !== undefined && performance.now() < this.#down.until;
  }

  /** What comes next for who has read up to `end` in a file. It is nobody's loss where that fails. */
  #readOn({ offset, end, fileOffset, size, index }: CachedChunk, fileEnd: number): void {
    const share = Math.min(1, (fileEnd - fileOffset) / size);
    const next = this.#ahead.reached(offset + (end - offset) * share);
    if (next === undefined || this.#isDown()) return;
    const all = this.#cache.chunks;
    let at = index;
    while (at < all.length && all[at]!.offset < next.start) at++;
    const chunk = all[at];
    if (chunk === undefined || this.#inFlight.has(at) || this.#cache.has(chunk)) return;
    this.onMiss();
    this.#fetchFrom(chunk, next.bytes).catch(() => {});
  }

  #fetchFrom(chunk: CachedChunk, bytes?: number): Promise<void> {
    const known = this.#inFlight.get(chunk.index);
    if (known !== undefined) return known.promise;
    const members = this.#membersFrom(chunk, bytes ?? this.#ahead.sizeAt(chunk.offset));
    this.#ahead.begin({ start: members[0]!.offset, end: members.at(-1)!.end });
    for (const { index } of members.flatMap(({ chunks }) => chunks)) {
      const arrival = Promise.withResolvers<void>();
      // what was read along may have nobody who waits for it
      arrival.promise.catch(() => {});
      this.#inFlight.set(index, arrival);
    }
    const asked = this.#inFlight.get(chunk.index)!.promise;
    const missing = [...members];
    this.#receive(missing).catch((error) => {
      for (const chunk of missing.flatMap(({ chunks }) => chunks)) this.#settle(chunk, error);
    });
    return asked;
  }

  /** That of the chunk, and those that are missing right behind, up to so many bytes. */
  #membersFrom(chunk: CachedChunk, bytes: number): Member[] {
    const all = this.#cache.chunks;
    let first = chunk.index;
    while (first > 0 && all[first - 1]!.offset === chunk.offset) first--;
    const members: Member[] = [];
    for (let at = first; at < all.length; at++) {
      const next = all[at]!;
      const last = members.at(-1);
      if (last?.offset === next.offset) {
        last.chunks.push(next);
        last.end = Math.max(last.end, next.end);
        continue;
      }
      if (
        last !== undefined &&
        (next.end - chunk.offset > bytes || this.#inFlight.has(at) || this.#cache.has(next))
      ) break;
      members.push({ offset: next.offset, end: next.end, chunks: [next] });
    }
    return members;
  }

  /** Each member is unpacked as soon as all of it has come. @param missing those that have not come yet */
  async #receive(missing: Member[]): Promise<void> {
    const { digest, size } = this.record.layer;
    const range = { start: missing[0]!.offset, end: missing.at(-1)!.end };
    const stream = hasBlob(this.folders, digest, size)
      ? streamFile(blobPath(this.folders, digest))
      : this.remote;
    using packed = this.#packed.take(
      missing.reduce((most, { offset, end }) => Math.max(most, end - offset), 0),
    );
    let place = range.start;
    await stream(range, (piece) => {
      for (let from = 0; from < piece.length;) {
        const { offset, end } = missing[0]!;
        // between two of them there may be what is no file's
        const skipped = Math.min(Math.max(0, offset - place), piece.length - from);
        from += skipped;
        place += skipped;
        const taken = piece.subarray(from, from + Math.max(0, Math.min(piece.length - from, end - place)));
        packed.bytes.set(taken, Math.max(0, place - offset));
        from += taken.length;
        place += taken.length;
        if (place === end) this.#unpack(missing.shift()!, packed.bytes.subarray(0, end - offset));
      }
    });
  }

  #unpack({ chunks }: Member, packed: Uint8Array<ArrayBuffer>): void {
    const source = this.#isZstd ? new ZstdSource(packed) : new GunzipSource(packed, { checkCrc: false });
    const reader = new MemberReader(source);
    for (const chunk of chunks) {
      using unpacked = this.#unpacked.take(chunk.isZeros ? 0 : chunk.size);
      const bytes = unpacked.bytes.subarray(0, chunk.size);
      try {
        if (!chunk.isZeros && reader.read(chunk.innerOffset, bytes) && isSound(chunk, bytes)) {
          this.#cache.put(chunk, bytes);
        }
        this.#settle(chunk, this.#cache.has(chunk) ? undefined : this.#isWrong(chunk));
      } catch (error) {
        // the disk is full
        this.#settle(chunk, error);
      }
    }
  }

  #settle({ index }: CachedChunk, error?: unknown): void {
    const arrival = this.#inFlight.get(index);
    this.#inFlight.delete(index);
    if (error === undefined) arrival?.resolve();
    else arrival?.reject(error);
  }

  #isWrong({ size, offset }: CachedChunk): VerificationError {
    const short = this.record.layer.digest.slice(0, 19);
    return new VerificationError(
      `read layer ${short}…: what came for ${size} bytes at ${offset} is not what its table of contents says`,
    );
  }
}

/** Memory that is used again. */
class Buffers {
  readonly #free: Uint8Array<ArrayBuffer>[] = [];

  /** At least so many bytes; they are given back at the end. */
  take(length: number): Disposable & { bytes: Uint8Array<ArrayBuffer> } {
    const free = this.#free.findIndex((bytes) => bytes.length >= length);
    const bytes = free < 0 ? new Uint8Array(length) : this.#free.splice(free, 1)[0]!;
    return {
      bytes,
      [Symbol.dispose]: () => {
        // the largest stays: that of the next is mostly as large
        const kept = this.#free.pop();
        const larger = kept === undefined || kept.length < bytes.length ? bytes : kept;
        if (larger.length <= KEPT_BUFFER_BYTES) this.#free.push(larger);
      },
    };
  }
}

/** A gzip member or zstd frame: unpacked once, however many pieces it has. They are read in their order. */
class MemberReader {
  #at = 0;

  constructor(private readonly source: ByteSource) {}

  /** @returns false where it is damaged, which is no other than wrong */
  read(innerOffset: number, into: Uint8Array<ArrayBuffer>): boolean {
    try {
      const passed = new Uint8Array(Math.min(innerOffset - this.#at, SKIP_BYTES));
      while (this.#at < innerOffset) {
        const length = this.source.read(passed.subarray(0, innerOffset - this.#at));
        if (length === 0) return false;
        this.#at += length;
      }
      const length = readFully(this.source, into);
      this.#at += length;
      return length === into.length;
    } catch {
      return false;
    }
  }
}

/** The content of all layers of one mount. */
export function contentOf(layers: readonly LazyLayerContent[]): LazyContent {
  const get = (how: "readHere" | "copyHere"): LazyContent[typeof how] => ({ file }, offset, into) => {
    if (file === undefined) return false;
    const layer = layers[file.layer]!;
    return layer[how](layer.chunksOf(file.entry.chunks, offset, into.length), offset, into);
  };
  return {
    readHere: get("readHere"),
    copyHere: get("copyHere"),
    async fetch({ file }, offset, length) {
      if (file === undefined) return;
      const layer = layers[file.layer]!;
      await layer.fetch(layer.chunksOf(file.entry.chunks, offset, length));
    },
  };
}

/**
 * What of a lazy layer's content is here: a sparse file with all files one behind the other, and a byte for each chunk.
 *
 * Several servers share it (each container has one). What another has written, or one before a crash, is hashed before it
 * is believed.
 */

import type { LayerToc, TocChunk } from "../../archive/toc/model.ts";
import { createHash } from "node:crypto";
import { digestAlgorithm, digestHex } from "../../spec/digest.ts";
import { Fd, open, pread, pwrite } from "../../../ffi/file.ts";
import { O_CLOEXEC, O_CREAT, O_NOFOLLOW, O_RDWR } from "../../../ffi/constants/fcntl.ts";

/** A chunk with its place in the cache. */
export interface CachedChunk extends TocChunk {
  index: number;
  /** In the data file. */
  place: number;
}

export class LazyCache implements Disposable {
  /** In the blob's order. */
  readonly chunks: CachedChunk[] = [];
  readonly #first = new Map<TocChunk[], number>();
  readonly #data: Fd;
  readonly #have: Fd;
  /** 1: hashed by this process. */
  readonly #sound: Uint8Array;

  constructor(folder: string, toc: LayerToc) {
    let place = 0;
    for (const { chunks, size } of toc.entries) {
      if (chunks.length === 0) continue;
      this.#first.set(chunks, this.chunks.length);
      for (const chunk of chunks) {
        this.chunks.push({ ...chunk, index: this.chunks.length, place: place + chunk.fileOffset });
      }
      place += size;
    }
    this.#sound = new Uint8Array(this.chunks.length);
    const flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
    this.#data = new Fd(open(`${folder}/data`, flags, 0o600));
    this.#have = new Fd(open(`${folder}/have`, flags, 0o600));
  }

  [Symbol.dispose](): void {
    this.#data[Symbol.dispose]();
    this.#have[Symbol.dispose]();
  }

  /** Those that hold a part of a file. */
  chunksOf(chunks: TocChunk[], offset: number, length: number): CachedChunk[] {
    const first = this.#first.get(chunks)!;
    const found: CachedChunk[] = [];
    // of equal size but for the last, mostly: the first is found by halving
    let low = 0, high = chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (chunks[middle]!.fileOffset <= offset) low = middle;
      else high = middle - 1;
    }
    for (let at = low; at < chunks.length && chunks[at]!.fileOffset < offset + length; at++) {
      found.push(this.chunks[first + at]!);
    }
    return found;
  }

  /** Whether it is here and sound. */
  has(chunk: CachedChunk): boolean {
    if (this.#sound[chunk.index] === 1 || chunk.isZeros) return true;
    const byte = new Uint8Array(1);
    if (pread(this.#have.number, byte, chunk.index) !== 1 || byte[0] !== 1) return false;
    const bytes = new Uint8Array(chunk.size);
    if (!this.#readAt(bytes, chunk.place) || !isSound(chunk, bytes)) return false;
    this.#sound[chunk.index] = 1;
    return true;
  }

  /** Keeps a chunk's verified bytes. */
  put(chunk: CachedChunk, bytes: Uint8Array<ArrayBuffer>): void {
    for (let at = 0; at < bytes.length;) {
      at += pwrite(this.#data.number, bytes.subarray(at), chunk.place + at);
    }
    pwrite(this.#have.number, new Uint8Array([1]), chunk.index);
    this.#sound[chunk.index] = 1;
  }

  /** Part of a chunk that is here. */
  read(chunk: CachedChunk, from: number, into: Uint8Array<ArrayBuffer>): boolean {
    if (!chunk.isZeros) return this.#readAt(into, chunk.place + from);
    into.fill(0);
    return true;
  }

  #readAt(into: Uint8Array<ArrayBuffer>, place: number): boolean {
    for (let at = 0; at < into.length;) {
      const length = pread(this.#data.number, at === 0 ? into : into.subarray(at), place + at);
      if (length === 0) return false;
      at += length;
    }
    return true;
  }
}

/** Whether bytes are what the table says. */
export function isSound({ digest, size }: TocChunk, bytes: Uint8Array): boolean {
  if (digest === undefined || bytes.length !== size) return false;
  return createHash(digestAlgorithm(digest)).update(bytes).digest("hex") === digestHex(digest);
}

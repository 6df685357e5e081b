/** A file in pieces, from its start; what is skipped is not read. */

import { fstat, pread } from "../../ffi/file.ts";
import type { ByteSource, ChunkSource } from "./chunks.ts";

export class FileChunks implements ChunkSource {
  readonly #fd: number;
  readonly #size: number;
  readonly #buffer: Uint8Array<ArrayBuffer>;
  #position = 0;

  /** The caller keeps `fd`. A small piece suits who reads headers, a large one who reads all. */
  constructor(fd: number, pieceBytes = 1 << 13) {
    this.#fd = fd;
    this.#size = fstat(fd).size;
    this.#buffer = new Uint8Array(pieceBytes);
  }

  next(): Uint8Array<ArrayBuffer> | null {
    const length = pread(this.#fd, this.#buffer, this.#position);
    this.#position += length;
    return length === 0 ? null : this.#buffer.subarray(0, length);
  }

  skip(count: number): number {
    const skipped = Math.min(count, Math.max(0, this.#size - this.#position));
    this.#position += skipped;
    return skipped;
  }
}

/** The bytes of a file from `offset` on, at most `length`. */
export function fileRange(fd: number, offset = 0, length = Infinity): ByteSource {
  const end = offset + length;
  return {
    read(into) {
      const wanted = Math.min(into.length, end - offset);
      if (wanted === 0) return 0;
      const got = pread(fd, wanted === into.length ? into : into.subarray(0, wanted), offset);
      offset += got;
      return got;
    },
  };
}

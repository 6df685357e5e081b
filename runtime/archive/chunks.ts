/** Synchronous streams of bytes, pulled: what a forked child reads, inflates and unpacks with. */

/** Fills `into` from its start and gives how many bytes it wrote: at least one, or 0 at the end. */
export interface ByteSource {
  read(into: Uint8Array<ArrayBuffer>): number;
}

/** Gives the next piece, valid until the call after, or null at the end. */
export interface ChunkSource {
  next(): Uint8Array<ArrayBuffer> | null;
  /** Leaves out the bytes that would come next, where that is cheaper than to read them; gives how many. */
  skip?(count: number): number;
}

/** A source over bytes in memory. */
export function sourceOf(bytes: Uint8Array): ByteSource {
  let at = 0;
  return {
    read(into) {
      const length = Math.min(into.length, bytes.length - at);
      into.set(bytes.subarray(at, at + length));
      at += length;
      return length;
    },
  };
}

/** Reads until `into` is full or the source ends; gives the bytes read. */
export function readFully(source: ByteSource, into: Uint8Array<ArrayBuffer>): number {
  let filled = 0;
  while (filled < into.length) {
    const length = source.read(filled === 0 ? into : into.subarray(filled));
    if (length === 0) break;
    filled += length;
  }
  return filled;
}

/** Pieces of `size` bytes (the last may be shorter), each in the same buffer. */
export function chunksOf(source: ByteSource, size = 1 << 18): ChunkSource {
  const buffer = new Uint8Array(size);
  return {
    next() {
      const length = readFully(source, buffer);
      return length === 0 ? null : buffer.subarray(0, length);
    },
  };
}

/** node:zlib's compressors, driven synchronously. @see zlib_handle.ts */

import { constants, createDeflateRaw, createZstdCompress } from "node:zlib";
import { ZlibHandle } from "./zlib_handle.ts";

const OUTPUT_BYTES = 1 << 18;

/** One zstd frame. */
export class ZstdHandle {
  readonly #handle: ZlibHandle;
  readonly #output = new Uint8Array(OUTPUT_BYTES);

  /** @param level 1–20; the default is the library's */
  constructor(level?: number) {
    this.#handle = new ZlibHandle(
      createZstdCompress(
        level === undefined ? {} : { params: { [constants.ZSTD_c_compressionLevel]: level } },
      ),
    );
  }

  /** What comes out is valid until `sink` returns. */
  write(bytes: Uint8Array, sink: (bytes: Uint8Array<ArrayBuffer>) => void): void {
    this.#run(bytes, constants.ZSTD_e_continue, sink);
  }

  /** The last bytes. */
  finish(sink: (bytes: Uint8Array<ArrayBuffer>) => void): void {
    this.#run(new Uint8Array(0), constants.ZSTD_e_end, sink);
  }

  /** Until all is taken and the output was not filled: then nothing more is to come. */
  #run(input: Uint8Array, flush: number, sink: (bytes: Uint8Array<ArrayBuffer>) => void): void {
    const output = this.#output;
    for (let offset = 0;;) {
      const { consumed, produced } = this.#handle.step(flush, input, offset, input.length - offset, output);
      if (produced > 0) sink(output.subarray(0, produced));
      offset += consumed;
      if (produced < output.length && offset === input.length) return;
    }
  }
}

/** Blocks of a raw deflate stream that know nothing of each other, so that several processes can make them. */
export class DeflateBlocks {
  readonly #handle: ZlibHandle;

  /** @param level 1–9 */
  constructor(level: number) {
    this.#handle = new ZlibHandle(createDeflateRaw({ level }));
  }

  /** Packs a block, up to the next whole byte of the stream. @param output has room for more than the block */
  pack(block: Uint8Array, output: Uint8Array): number {
    this.#handle.reset();
    const { consumed, produced } = this.#handle.step(constants.Z_SYNC_FLUSH, block, 0, block.length, output);
    if (consumed < block.length || produced === output.length) throw new Error("a block has grown too large");
    return produced;
  }
}

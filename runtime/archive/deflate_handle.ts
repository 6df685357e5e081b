/**
 * node:zlib's compressors, driven synchronously, for a forked child: the counterpart of inflate_handle.ts, and as
 * private an API (deflate_handle_test.ts holds what is assumed of it).
 */

import { constants, createGzip, createZstdCompress } from "node:zlib";
import type { Packing } from "./packing.ts";

interface ZlibHandle {
  writeSync(
    flush: number,
    input: Uint8Array,
    inputOffset: number,
    inputLength: number,
    output: Uint8Array,
    outputOffset: number,
    outputLength: number,
  ): void;
  onerror: (message: string, errno: number, code: string) => void;
}

const OUTPUT_BYTES = 1 << 18;

/** One gzip member or zstd frame. */
export class DeflateHandle {
  readonly #handle: ZlibHandle;
  readonly #state: Uint32Array;
  readonly #endMark: number;
  readonly #output = new Uint8Array(OUTPUT_BYTES);
  #error: string | null = null;

  constructor({ format, level }: Packing) {
    const stream = format === "gzip" ? createGzip(level === undefined ? {} : { level }) : createZstdCompress(
      level === undefined ? {} : { params: { [constants.ZSTD_c_compressionLevel]: level } },
    );
    const inner = stream as unknown as { _handle: ZlibHandle; _writeState: Uint32Array };
    this.#handle = inner._handle;
    this.#state = inner._writeState;
    this.#endMark = format === "gzip" ? constants.Z_FINISH : constants.ZSTD_e_end;
    this.#handle.onerror = (message) => {
      this.#error = message;
    };
  }

  /** What comes out is valid until `sink` returns. */
  write(bytes: Uint8Array, sink: (bytes: Uint8Array<ArrayBuffer>) => void): void {
    this.#run(bytes, constants.Z_NO_FLUSH, sink);
  }

  /** The last bytes. */
  finish(sink: (bytes: Uint8Array<ArrayBuffer>) => void): void {
    this.#run(new Uint8Array(0), this.#endMark, sink);
  }

  /** Until all is taken and the output was not filled: then nothing more is to come. */
  #run(input: Uint8Array, flush: number, sink: (bytes: Uint8Array<ArrayBuffer>) => void): void {
    const output = this.#output;
    for (let offset = 0;;) {
      const length = input.length - offset;
      this.#handle.writeSync(flush, input, offset, length, output, 0, output.length);
      if (this.#error !== null) throw new Error(this.#error);
      const [free, left] = this.#state as unknown as [number, number];
      if (free < output.length) sink(output.subarray(0, output.length - free));
      offset = input.length - left;
      if (free > 0 && left === 0) return;
    }
  }
}

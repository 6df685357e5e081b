/**
 * node:zlib's decompressors, driven synchronously: the only way to inflate in a forked child, where no
 * promise, timer or stream callback runs any more.
 *
 * `stream._handle.writeSync(flush, in, inOffset, inLength, out, outOffset, outLength)` leaves what is still
 * free in `stream._writeState`: [0] of the output, [1] of the input. It is a private API of Deno (the same as
 * Node's): Deno is pinned, and inflate_handle_test.ts holds every assumption made here.
 */

import { createInflateRaw, createZstdDecompress } from "node:zlib";

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
  reset(): void;
  onerror: (message: string, errno: number, code: string) => void;
}

/** What one step took and gave. Reused: read it before the next step. */
export interface InflateStep {
  consumed: number;
  produced: number;
}

export class InflateHandle {
  #handle: ZlibHandle;
  #state: Uint32Array;
  #error: string | null = null;
  #step: InflateStep = { consumed: 0, produced: 0 };

  /** `deflate`: a raw stream, without gzip's header and trailer. `zstd`: one frame after the other. */
  constructor(format: "deflate" | "zstd") {
    const stream = format === "deflate" ? createInflateRaw() : createZstdDecompress();
    const inner = stream as unknown as { _handle: ZlibHandle; _writeState: Uint32Array };
    this.#handle = inner._handle;
    this.#state = inner._writeState;
    // The deflate handle reports by callback, the zstd handle throws.
    this.#handle.onerror = (message) => {
      this.#error = message;
    };
  }

  /** @throws {Error} with the library's own words on corrupt input. */
  step(input: Uint8Array, offset: number, length: number, output: Uint8Array): InflateStep {
    this.#handle.writeSync(0, input, offset, length, output, 0, output.length);
    if (this.#error !== null) {
      const message = this.#error;
      this.#error = null;
      throw new Error(message);
    }
    this.#step.consumed = length - this.#state[1]!;
    this.#step.produced = output.length - this.#state[0]!;
    return this.#step;
  }

  /** Begins a new stream or frame. */
  reset(): void {
    this.#handle.reset();
  }
}

/**
 * node:zlib's streams, driven synchronously: the only way to pack and unpack in a forked child, where no promise, timer
 * or stream callback runs any more.
 *
 * `stream._handle.writeSync(flush, in, inOffset, inLength, out, outOffset, outLength)` leaves what is still
 * free in `stream._writeState`: [0] of the output, [1] of the input. It is a private API of Deno (the same as
 * Node's): Deno is pinned, and inflate_handle_test.ts and deflate_handle_test.ts hold every assumption made here.
 */

interface Handle {
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
export interface ZlibStep {
  consumed: number;
  produced: number;
}

export class ZlibHandle {
  readonly #handle: Handle;
  readonly #state: Uint32Array;
  readonly #step: ZlibStep = { consumed: 0, produced: 0 };
  #error: string | null = null;

  /** @param stream of node:zlib's `create…` */
  constructor(stream: unknown) {
    const inner = stream as { _handle: Handle; _writeState: Uint32Array };
    this.#handle = inner._handle;
    this.#state = inner._writeState;
    // the deflate handles report by callback, those of zstd throw
    this.#handle.onerror = (message) => {
      this.#error = message;
    };
  }

  /** @throws {Error} with the library's own words */
  step(flush: number, input: Uint8Array, offset: number, length: number, output: Uint8Array): ZlibStep {
    this.#handle.writeSync(flush, input, offset, length, output, 0, output.length);
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

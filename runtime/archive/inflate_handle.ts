/** node:zlib's decompressors, driven synchronously. @see zlib_handle.ts */

import { createInflateRaw, createZstdDecompress } from "node:zlib";
import { ZlibHandle, type ZlibStep } from "./zlib_handle.ts";

export class InflateHandle {
  readonly #handle: ZlibHandle;

  /** `deflate`: a raw stream, without gzip's header and trailer. `zstd`: one frame after the other. */
  constructor(format: "deflate" | "zstd") {
    this.#handle = new ZlibHandle(format === "deflate" ? createInflateRaw() : createZstdDecompress());
  }

  /** @throws {Error} with the library's own words on corrupt input. */
  step(input: Uint8Array, offset: number, length: number, output: Uint8Array): ZlibStep {
    return this.#handle.step(0, input, offset, length, output);
  }

  /** Begins a new stream or frame. */
  reset(): void {
    this.#handle.reset();
  }
}

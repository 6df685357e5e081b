/**
 * gzip, read synchronously: any number of members, each with its length and CRC checked, and nothing
 * else behind them.
 *
 * @see RFC 1952
 */

import { crc32 } from "node:zlib";
import type { ByteSource } from "./chunks.ts";
import { InflateHandle } from "./inflate_handle.ts";
import { InputBuffer } from "./input_buffer.ts";

/** A gzip stream that is damaged, truncated or has something behind it. */
export class GzipError extends Error {
  override name = "GzipError";
}

const FHCRC = 2, FEXTRA = 4, FNAME = 8, FCOMMENT = 16, RESERVED = 0xe0;
/** Name, comment and extra field of a member together: real ones are a few bytes. */
const MAX_HEADER = 1 << 16;

export interface GunzipOptions {
  /** Off where a digest of the whole output is checked anyway. */
  checkCrc?: boolean;
}

export class GunzipSource implements ByteSource {
  #input: InputBuffer;
  #handle = new InflateHandle("deflate");
  #checkCrc: boolean;
  #inMember = false;
  #members = 0;
  #crc = 0;
  #length = 0;
  #headerBytes = 0;

  constructor(compressed: ByteSource | Uint8Array<ArrayBuffer>, options: GunzipOptions = {}) {
    this.#input = new InputBuffer(compressed);
    this.#checkCrc = options.checkCrc ?? true;
  }

  /** @throws {GzipError} */
  read(into: Uint8Array<ArrayBuffer>): number {
    if (into.length === 0) throw new RangeError("no room to inflate into");
    const input = this.#input;
    for (;;) {
      if (!this.#inMember && !this.#beginMember()) return 0;
      if (input.at === input.end && !input.fill()) throw new GzipError("truncated gzip stream");
      const step = this.#inflate(into);
      input.at += step.consumed;
      if (step.produced > 0) {
        this.#length = (this.#length + step.produced) % 2 ** 32;
        if (this.#checkCrc) this.#crc = crc32(into.subarray(0, step.produced), this.#crc);
        return step.produced;
      }
      // Input was there and room was there, and neither was used: the deflate stream has ended.
      if (step.consumed === 0) this.#endMember();
    }
  }

  #inflate(into: Uint8Array<ArrayBuffer>) {
    const input = this.#input;
    try {
      return this.#handle.step(input.bytes, input.at, input.end - input.at, into);
    } catch (error) {
      throw new GzipError(`corrupt gzip stream: ${(error as Error).message}`);
    }
  }

  /** Reads a member's header; false at the end of the input. */
  #beginMember(): boolean {
    const first = this.#input.byte();
    if (first === -1) {
      if (this.#members === 0) throw new GzipError("truncated gzip stream");
      return false;
    }
    this.#headerBytes = 0;
    if (first !== 0x1f || this.#need() !== 0x8b) {
      throw new GzipError(
        this.#members === 0 ? "not a gzip stream" : "data after the end of the gzip stream",
      );
    }
    if (this.#need() !== 8) throw new GzipError("unknown gzip compression method");
    const flags = this.#need();
    if (flags & RESERVED) throw new GzipError("unknown gzip flags");
    for (let skipped = 0; skipped < 6; skipped++) this.#need(); // mtime, xfl, os
    if (flags & FEXTRA) {
      const length = this.#need() | this.#need() << 8;
      for (let skipped = 0; skipped < length; skipped++) this.#need();
    }
    if (flags & FNAME) { while (this.#need() !== 0); }
    if (flags & FCOMMENT) { while (this.#need() !== 0); }
    if (flags & FHCRC) this.#need(), this.#need();
    if (this.#members > 0) this.#handle.reset();
    this.#inMember = true;
    this.#members++;
    this.#crc = this.#length = 0;
    return true;
  }

  #endMember(): void {
    const crc = this.#trailerNumber();
    const length = this.#trailerNumber();
    if (this.#checkCrc && crc !== this.#crc) throw new GzipError("corrupt gzip stream: wrong checksum");
    if (length !== this.#length) throw new GzipError("corrupt gzip stream: wrong length");
    this.#inMember = false;
  }

  #trailerNumber(): number {
    this.#headerBytes = 0;
    return (this.#need() | this.#need() << 8 | this.#need() << 16 | this.#need() << 24) >>> 0;
  }

  #need(): number {
    const byte = this.#input.byte();
    if (byte === -1) throw new GzipError("truncated gzip stream");
    if (++this.#headerBytes > MAX_HEADER) throw new GzipError("gzip header is too large");
    return byte;
  }
}

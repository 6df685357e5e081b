/**
 * zstd, read synchronously: any number of frames, skippable ones among them, and nothing else.
 *
 * node:zlib's zstd stops after the first frame without an error and says nothing about input that ends
 * early. So the frames and their blocks are walked here, and exactly one frame at a time is handed over.
 *
 * ```
 * frame:  magic 4 | descriptor 1 | window 0-1 | dictionary id 0-4 | content size 0-8 | blocks… | checksum 0-4
 * block:  header 3 (bit 0 last, bits 1-2 type, bits 3-23 size) | data
 * ```
 *
 * @see RFC 8878
 */

import type { ByteSource } from "./chunks.ts";
import { InflateHandle } from "./inflate_handle.ts";
import { InputBuffer } from "./input_buffer.ts";

/** A zstd stream that is damaged, truncated, wants too much memory or has something behind it. */
export class ZstdError extends Error {
  override name = "ZstdError";
}

/** What zstd(1) decodes without --long: 2^27 bytes. The window is memory, so it is bounded. */
export const MAX_WINDOW = 2 ** 27;

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
const enum Block {
  RAW = 0,
  RLE = 1,
  RESERVED = 3,
}

/** Where the walk through the input stands. */
type Stage = "frame" | "block" | "data" | "checksum" | "drain";

export class ZstdSource implements ByteSource {
  #input: InputBuffer;
  #handle = new InflateHandle("zstd");
  #stage: Stage = "frame";
  #frames = 0;
  /** Bytes of the current block's data or of the checksum still to be handed over. */
  #left = 0;
  #lastBlock = false;
  #hasChecksum = false;
  #contentSize: number | null = null;
  #produced = 0;
  /** Header bytes that were parsed and are to be handed over. */
  #pending = new Uint8Array(32);
  #pendingLength = 0;

  constructor(compressed: ByteSource | Uint8Array<ArrayBuffer>) {
    this.#input = new InputBuffer(compressed);
  }

  /** @throws {ZstdError} */
  read(into: Uint8Array<ArrayBuffer>): number {
    if (into.length === 0) throw new RangeError("no room to inflate into");
    for (;;) {
      if (this.#pendingLength > 0) {
        const length = this.#pendingLength;
        this.#pendingLength = 0;
        const produced = this.#feedPending(length, into);
        if (produced > 0) return produced;
      }
      switch (this.#stage) {
        case "frame":
          if (!this.#beginFrame()) return 0;
          break;
        case "block":
          this.#beginBlock();
          break;
        case "data":
        case "checksum": {
          const produced = this.#feed(into);
          if (produced > 0) return produced;
          if (this.#left === 0) this.#afterRun();
          break;
        }
        case "drain": {
          const produced = this.#step(new Uint8Array(), 0, 0, into).produced;
          if (produced > 0) return produced;
          this.#endFrame();
          break;
        }
      }
    }
  }

  /** Reads a frame's header; skips skippable frames. False at the end of the input. */
  #beginFrame(): boolean {
    const first = this.#input.byte();
    if (first === -1) {
      if (this.#frames === 0) throw new ZstdError("truncated zstd stream");
      return false;
    }
    const magic = (first | this.#need() << 8 | this.#need() << 16 | this.#need() << 24) >>> 0;
    this.#frames++;
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) {
      this.#skip((this.#need() | this.#need() << 8 | this.#need() << 16 | this.#need() << 24) >>> 0);
      return true;
    }
    if (magic !== MAGIC) {
      throw new ZstdError(this.#frames === 1 ? "not a zstd stream" : "data after the end of the zstd stream");
    }
    if (this.#frames > 1) this.#handle.reset();
    for (let shift = 0; shift < 32; shift += 8) this.#pass(magic >>> shift & 255);
    const descriptor = this.#pass(this.#need());
    const singleSegment = (descriptor & 0x20) !== 0;
    this.#hasChecksum = (descriptor & 4) !== 0;
    let window = 0;
    if (!singleSegment) {
      const byte = this.#pass(this.#need());
      const base = 2 ** (10 + (byte >> 3));
      window = base + base / 8 * (byte & 7);
    }
    this.#little([0, 1, 2, 4][descriptor & 3]!);
    const sizeFlag = descriptor >> 6;
    const sizeBytes = sizeFlag === 0 ? (singleSegment ? 1 : 0) : 2 ** sizeFlag;
    const size = this.#little(sizeBytes) + (sizeBytes === 2 ? 256 : 0);
    this.#contentSize = sizeBytes === 0 ? null : size;
    if (singleSegment) window = size;
    if (window > MAX_WINDOW) {
      throw new ZstdError(`zstd window of ${window} bytes is larger than ${MAX_WINDOW}`);
    }
    this.#produced = 0;
    this.#stage = "block";
    return true;
  }

  #beginBlock(): void {
    const header = this.#pass(this.#need()) | this.#pass(this.#need()) << 8 | this.#pass(this.#need()) << 16;
    const type = header >> 1 & 3;
    if (type === Block.RESERVED) throw new ZstdError("corrupt zstd stream: reserved block type");
    this.#lastBlock = (header & 1) !== 0;
    this.#left = type === Block.RLE ? 1 : header >> 3;
    this.#stage = "data";
  }

  #afterRun(): void {
    if (this.#stage === "data" && !this.#lastBlock) {
      this.#stage = "block";
    } else if (this.#stage === "data" && this.#hasChecksum) {
      this.#stage = "checksum";
      this.#left = 4;
    } else {
      this.#stage = "drain";
    }
  }

  #endFrame(): void {
    if (this.#contentSize !== null && this.#contentSize !== this.#produced) {
      throw new ZstdError("corrupt zstd stream: wrong content size");
    }
    this.#stage = "frame";
  }

  /** Hands over bytes of the current run; gives what came out. */
  #feed(into: Uint8Array<ArrayBuffer>): number {
    const input = this.#input;
    if (this.#left === 0) return 0;
    if (input.at === input.end && !input.fill()) throw new ZstdError("truncated zstd stream");
    const length = Math.min(this.#left, input.end - input.at);
    const step = this.#step(input.bytes, input.at, length, into);
    if (step.consumed === 0 && step.produced === 0) throw new ZstdError("corrupt zstd stream");
    input.at += step.consumed;
    this.#left -= step.consumed;
    return step.produced;
  }

  #feedPending(length: number, into: Uint8Array<ArrayBuffer>): number {
    const step = this.#step(this.#pending, 0, length, into);
    const produced = step.produced;
    if (step.consumed < length) {
      this.#pending.copyWithin(0, step.consumed, length);
      this.#pendingLength = length - step.consumed;
      if (step.consumed === 0 && produced === 0) throw new ZstdError("corrupt zstd stream");
    }
    return produced;
  }

  #step(input: Uint8Array, offset: number, length: number, into: Uint8Array<ArrayBuffer>) {
    try {
      const step = this.#handle.step(input, offset, length, into);
      this.#produced += step.produced;
      return step;
    } catch (error) {
      throw new ZstdError(
        `corrupt zstd stream: ${(error as Error).message.replace(/^Zstd decompress error: /, "")}`,
      );
    }
  }

  #little(bytes: number): number {
    let value = 0;
    for (let at = 0; at < bytes; at++) value += this.#pass(this.#need()) * 256 ** at;
    return value;
  }

  #pass(byte: number): number {
    this.#pending[this.#pendingLength++] = byte;
    return byte;
  }

  #need(): number {
    const byte = this.#input.byte();
    if (byte === -1) throw new ZstdError("truncated zstd stream");
    return byte;
  }

  #skip(count: number): void {
    const input = this.#input;
    while (count > 0) {
      if (input.at === input.end && !input.fill()) throw new ZstdError("truncated zstd stream");
      const length = Math.min(count, input.end - input.at);
      input.at += length;
      count -= length;
    }
  }
}

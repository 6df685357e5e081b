/** The compressed bytes at hand: a window over a source, for parsers of frames. */

import type { ByteSource } from "./chunks.ts";

const NOTHING: ByteSource = { read: () => 0 };

export class InputBuffer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The unread bytes are `bytes[at..end)`. */
  at = 0;
  end = 0;
  #source: ByteSource;

  /** Of bytes that are in memory nothing is copied. */
  constructor(source: ByteSource | Uint8Array<ArrayBuffer>, size = 1 << 18) {
    if (source instanceof Uint8Array) {
      this.#source = NOTHING;
      this.bytes = source;
      this.end = source.length;
    } else {
      this.#source = source;
      this.bytes = new Uint8Array(size);
    }
  }

  /** Replaces a used up window by the next bytes; false at the end of the source. */
  fill(): boolean {
    this.at = 0;
    this.end = this.#source.read(this.bytes);
    return this.end > 0;
  }

  /** The next byte, or -1 at the end. */
  byte(): number {
    if (this.at === this.end && !this.fill()) return -1;
    return this.bytes[this.at++]!;
  }
}

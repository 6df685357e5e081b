/**
 * The log format `k8s-file`, as podman's conmon writes it and the kubelet reads it.
 *
 * ```
 *  2016-10-06T00:17:09.669794202+00:00 stdout F a whole line
 *  2016-10-06T00:17:09.669794202+00:00 stdout P the beginning of a line
 * ```
 *
 * Every byte of the output is in the file, once: F stands for text and its newline, P for text alone.
 *
 * @see https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
 */

import { momentText, now } from "./log_clock.ts";
import { LogFile } from "./log_file.ts";
import type { LogWriter, OutputStream } from "./log_writer.ts";

const NEWLINE = 10;
const TAG_FULL = 70;
const TAG_PARTIAL = 80;
/** `2016-10-06T00:17:09.669794202+00:00 stdout F ` */
const HEADER_BYTES = 45;
const TAG_OFFSET = 43;
/** The header is stored as six doubles, three bytes more than it has; the text then overwrites those. */
const HEADER_STORE_BYTES = 48;
/** The text of one entry: a line without end is not one entry without end. */
const ENTRY_LIMIT_BYTES = 64 * 1024;
/** Up to here a line is searched and copied in one loop, four bytes a step; then memchr and memcpy win. */
const SHORT_LINE_BYTES = 256;
const SHORT_ENTRY_BYTES = HEADER_STORE_BYTES + SHORT_LINE_BYTES + 8;
const BUFFER_BYTES = 512 * 1024;

export class K8sLogWriter implements LogWriter {
  readonly #file: LogFile;
  readonly #out = new Uint8Array(BUFFER_BYTES);
  readonly #outView = new DataView(this.#out.buffer);
  #length = 0;
  /** Where `#out` is full, or the file is. */
  #limit = 0;
  readonly #header = new Uint8Array(HEADER_STORE_BYTES);
  readonly #headerView = new DataView(this.#header.buffer);

  constructor(path: string, maxSize: number) {
    this.#file = new LogFile(path, maxSize);
    this.#limit = Math.min(BUFFER_BYTES, this.#file.room);
  }

  /** One time stamp for all that was read at once, as conmon does it: write(2) is faster than the clock. */
  write(stream: OutputStream, bytes: Uint8Array<ArrayBuffer>): void {
    encoder.encodeInto(`${momentText(now())}+00:00 ${stream} F `, this.#header);
    this.#format(bytes);
    this.#flush();
  }

  close(): void {
    this.#flush();
    this.#file.close();
  }

  /**
   * The hot loop: 1 GB of lines goes through here. Doubles and words are moved because V8 compiles DataView
   * accesses to single instructions; a call per line (indexOf, set) costs more than the line.
   */
  #format(bytes: Uint8Array<ArrayBuffer>): void {
    const input = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const header = this.#headerView;
    // ASCII never forms a NaN, so doubles keep these bytes.
    const h0 = header.getFloat64(0), h1 = header.getFloat64(8), h2 = header.getFloat64(16);
    const h3 = header.getFloat64(24), h4 = header.getFloat64(32), h5 = header.getFloat64(40);
    const end = bytes.length;
    const out = this.#out;
    const outView = this.#outView;
    let at = 0;
    while (at < end) {
      if (this.#length + SHORT_ENTRY_BYTES > this.#limit) this.#makeRoom(SHORT_ENTRY_BYTES);
      const entry = this.#length;
      outView.setFloat64(entry, h0);
      outView.setFloat64(entry + 8, h1);
      outView.setFloat64(entry + 16, h2);
      outView.setFloat64(entry + 24, h3);
      outView.setFloat64(entry + 32, h4);
      outView.setFloat64(entry + 40, h5);
      let from = at;
      let to = entry + HEADER_BYTES;
      const stop = Math.min(end, at + SHORT_LINE_BYTES);
      let isLine = false;
      for (const lastWord = stop - 4; from <= lastWord; from += 4, to += 4) {
        const word = input.getInt32(from, true);
        outView.setInt32(to, word, true);
        const zeroed = word ^ 0x0a0a0a0a;
        const hit = (zeroed - 0x01010101) & ~zeroed & 0x80808080;
        if (hit !== 0) {
          const step = ((31 - Math.clz32(hit & -hit)) >> 3) + 1;
          from += step;
          to += step;
          isLine = true;
          break;
        }
      }
      if (!isLine) {
        while (from < stop && !isLine) {
          const byte = bytes[from++]!;
          out[to++] = byte;
          isLine = byte === NEWLINE;
        }
        if (!isLine && from < end) {
          at = this.#formatLong(bytes, at, from);
          continue;
        }
      }
      if (!isLine) {
        out[entry + TAG_OFFSET] = TAG_PARTIAL;
        out[to++] = NEWLINE;
      }
      this.#length = to;
      at = from;
    }
  }

  /** A line that begins at `at` and has no newline before `from`. Gives where the next line begins. */
  #formatLong(bytes: Uint8Array<ArrayBuffer>, at: number, from: number): number {
    const newline = bytes.indexOf(NEWLINE, from);
    const end = newline === -1 ? bytes.length : newline;
    while (end - at > ENTRY_LIMIT_BYTES) {
      this.#putEntry(bytes.subarray(at, at + ENTRY_LIMIT_BYTES), TAG_PARTIAL);
      at += ENTRY_LIMIT_BYTES;
    }
    this.#putEntry(bytes.subarray(at, end), newline === -1 ? TAG_PARTIAL : TAG_FULL);
    return newline === -1 ? end : end + 1;
  }

  #putEntry(text: Uint8Array, tag: number): void {
    const need = HEADER_STORE_BYTES + text.length + 1;
    if (this.#length + need > this.#limit) this.#makeRoom(need);
    const out = this.#out;
    const entry = this.#length;
    out.set(this.#header, entry);
    out[entry + TAG_OFFSET] = tag;
    out.set(text, entry + HEADER_BYTES);
    this.#length = entry + HEADER_BYTES + text.length;
    out[this.#length++] = NEWLINE;
  }

  /** Writes the buffer out, and begins a new file where the old one cannot take `need` bytes more. */
  #makeRoom(need: number): void {
    this.#flush();
    if (this.#file.room < need && !this.#file.isEmpty) this.#file.rotate();
    // An entry that is larger than the limit has a file for itself.
    this.#limit = Math.max(need, Math.min(BUFFER_BYTES, this.#file.room));
  }

  #flush(): void {
    if (this.#length === 0) return;
    this.#file.append(this.#out, this.#length);
    this.#length = 0;
    this.#limit = Math.min(BUFFER_BYTES, this.#file.room);
  }
}

const encoder = new TextEncoder();

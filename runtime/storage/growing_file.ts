/**
 * A file that another process still writes, read as a stream.
 *
 * ```
 *  downloading parent ── control pipe: total so far, i64 little endian ──▶ child
 *                        -1 the download failed · end of file: it is complete
 * ```
 */

import type { ByteSource } from "../archive/chunks.ts";
import { pread, read } from "../../ffi/file.ts";
import { SkiffError } from "../errors.ts";

/** The other side gave up; nothing is wrong with the content so far. */
export class DownloadAborted extends SkiffError {
  override name = "DownloadAborted";
}

/** The total that says that the download failed. */
export const ABORTED = -1;

export class GrowingFile implements ByteSource {
  /** Bytes read so far. */
  position = 0;
  #fd: number;
  #control: number;
  #total = 0;
  #isComplete = false;
  #message = new Uint8Array(8 * 512);
  #onRead: (bytes: Uint8Array) => void;

  /** `onRead` sees every byte once, in order. */
  constructor(fd: number, control: number, onRead: (bytes: Uint8Array) => void) {
    this.#fd = fd;
    this.#control = control;
    this.#onRead = onRead;
  }

  /** Waits for more where the reader has caught up. @throws {DownloadAborted} */
  read(into: Uint8Array<ArrayBuffer>): number {
    while (this.position === this.#total) {
      if (this.#isComplete) return 0;
      this.#waitBlocking();
    }
    const wanted = Math.min(into.length, this.#total - this.position);
    const length = pread(this.#fd, wanted === into.length ? into : into.subarray(0, wanted), this.position);
    if (length === 0) throw new SkiffError("read blob: the file is shorter than was announced");
    this.position += length;
    this.#onRead(into.subarray(0, length));
    return length;
  }

  #waitBlocking(): void {
    // Writes of 8 bytes to a pipe are atomic, so a read never ends within a message.
    const length = read(this.#control, this.#message);
    if (length === 0) {
      this.#isComplete = true;
      return;
    }
    const total = Number(new DataView(this.#message.buffer).getBigInt64(length - 8, true));
    if (total === ABORTED) throw new DownloadAborted("download was given up");
    this.#total = total;
  }
}

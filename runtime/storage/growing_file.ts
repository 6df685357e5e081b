/**
 * A file that another process still writes, read as a stream.
 *
 * ```
 *  downloading parent ── control pipe: total so far, i64 little endian ──▶ child
 *                        -1 given up · -2 that was all
 * ```
 */

import type { ByteSource } from "../archive/chunks.ts";
import { pread, read } from "../../ffi/file.ts";
import { pollBlocking } from "../../ffi/poll.ts";
import { POLLIN } from "../../ffi/constants/poll.ts";
import { SkiffError } from "../errors.ts";

/** The other side gave up; nothing is wrong with the content so far. */
export class DownloadAborted extends SkiffError {
  override name = "DownloadAborted";
}

/** Instead of a total: the download failed, or nobody wants the layer any more. */
export const ABORTED = -1;
/** Instead of a total: the last one was the whole. */
export const COMPLETE = -2;

/** Who has much to read still looks so often (bytes) whether it is wanted. */
const LOOK_STEP = 1 << 20;

export class GrowingFile implements ByteSource {
  /** Bytes read so far. */
  position = 0;
  #fd: number;
  #control: number;
  #total = 0;
  #isComplete = false;
  #looked = 0;
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
      this.#takeMessagesBlocking();
    }
    if (this.position - this.#looked >= LOOK_STEP) {
      this.#looked = this.position;
      if (pollBlocking(this.#control, POLLIN, 0) !== 0) this.#takeMessagesBlocking();
    }
    const wanted = Math.min(into.length, this.#total - this.position);
    const length = pread(this.#fd, wanted === into.length ? into : into.subarray(0, wanted), this.position);
    if (length === 0) throw new SkiffError("read blob: the file is shorter than was announced");
    this.position += length;
    this.#onRead(into.subarray(0, length));
    return length;
  }

  #takeMessagesBlocking(): void {
    // Writes of 8 bytes to a pipe are atomic, so a read never ends within a message.
    const length = read(this.#control, this.#message);
    if (length === 0) throw new DownloadAborted("the downloading process is gone");
    const view = new DataView(this.#message.buffer);
    for (let at = 0; at < length; at += 8) {
      const total = Number(view.getBigInt64(at, true));
      if (total === ABORTED) throw new DownloadAborted("download was given up");
      if (total === COMPLETE) this.#isComplete = true;
      else this.#total = total;
    }
  }
}

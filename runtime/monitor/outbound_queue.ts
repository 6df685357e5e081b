/**
 * What a client has still to read. A client that is slow or never reads costs a bounded amount of memory and
 * disk, and nobody else's time: the newest bytes go to a file without a name, which is used as a ring.
 *
 * ```
 *  push ─▶ │ file (ring, 64 MiB at most) │ ─▶ │ memory (1 MiB) │ ─▶ socket
 * ```
 */

import { AT_FDCWD, O_CLOEXEC, O_RDWR, O_TMPFILE } from "../../ffi/constants/fcntl.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL } from "../../ffi/constants/socket.ts";
import { EAGAIN, isErrno } from "../../ffi/errno.ts";
import { close, openat, pread, pwrite } from "../../ffi/file.ts";
import { send } from "../../ffi/socket.ts";

export const MEMORY_LIMIT_BYTES = 1024 * 1024;
export const FILE_LIMIT_BYTES = 64 * 1024 * 1024;
/** Kept free for the last words: ERROR or EXIT. */
const RESERVE_BYTES = 128 * 1024;
const REFILL_BYTES = 256 * 1024;

export class OutboundQueue {
  #chunks: Uint8Array<ArrayBuffer>[] = [];
  #memoryBytes = 0;
  #file = -1;
  #fileStart = 0;
  #fileBytes = 0;

  /** `spillFolder` must be on a file system that has O_TMPFILE, or only memory is used. */
  constructor(
    readonly socket: number,
    readonly spillFolder: string,
    readonly fileLimitBytes: number = FILE_LIMIT_BYTES,
  ) {}

  get backlogBytes(): number {
    return this.#memoryBytes + this.#fileBytes;
  }

  /**
   * Sends or keeps one or more whole frames; `frames` is free again when this returns. False where they find
   * no room: then nothing of them is kept, and only `pushLast` may follow.
   *
   * @throws {SyscallError} when the client has gone
   */
  push(frames: Uint8Array<ArrayBuffer>): boolean {
    return this.#push(frames, RESERVE_BYTES);
  }

  /** As `push`, for the frame that ends the conversation: a room is reserved for it. */
  pushLast(frame: Uint8Array<ArrayBuffer>): void {
    if (this.#push(frame, 0) || this.#fileBytes > 0) return;
    this.#chunks.push(frame);
    this.#memoryBytes += frame.length;
  }

  /**
   * Sends what the socket takes. True when nothing is left.
   *
   * @throws {SyscallError} when the client has gone
   */
  flush(): boolean {
    for (;;) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) {
        if (this.#fileBytes === 0) return true;
        this.#refill();
        continue;
      }
      const sent = sendSome(this.socket, chunk);
      this.#memoryBytes -= sent;
      if (sent < chunk.length) {
        this.#chunks[0] = chunk.subarray(sent);
        return false;
      }
      this.#chunks.shift();
    }
  }

  /** Drops what is left. The socket stays open. */
  dispose(): void {
    this.#chunks = [];
    this.#memoryBytes = this.#fileBytes = 0;
    if (this.#file !== -1) close(this.#file);
    this.#file = -1;
  }

  #push(frames: Uint8Array<ArrayBuffer>, reserve: number): boolean {
    let rest = frames;
    if (this.backlogBytes === 0) {
      rest = frames.subarray(sendSome(this.socket, frames));
      if (rest.length === 0) return true;
    } else if (this.#fileBytes > 0 || this.#memoryBytes + frames.length > MEMORY_LIMIT_BYTES) {
      return this.#spill(frames, reserve);
    }
    this.#chunks.push(rest.slice());
    this.#memoryBytes += rest.length;
    return true;
  }

  #spill(frames: Uint8Array<ArrayBuffer>, reserve: number): boolean {
    if (this.#fileBytes + frames.length > this.fileLimitBytes - reserve) return false;
    try {
      if (this.#file === -1) {
        this.#file = openat(AT_FDCWD, this.spillFolder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0o600);
      }
      for (let done = 0; done < frames.length;) {
        const at = (this.#fileStart + this.#fileBytes + done) % this.fileLimitBytes;
        const piece = frames.subarray(done, done + Math.min(frames.length - done, this.fileLimitBytes - at));
        done += pwrite(this.#file, piece, at);
      }
    } catch {
      // The disk is full, or the folder has gone (`--rm`): what would be torn was not counted yet.
      return false;
    }
    this.#fileBytes += frames.length;
    return true;
  }

  #refill(): void {
    const at = this.#fileStart;
    const chunk = new Uint8Array(Math.min(REFILL_BYTES, this.#fileBytes, this.fileLimitBytes - at));
    const count = pread(this.#file, chunk, at);
    this.#fileStart = (at + count) % this.fileLimitBytes;
    this.#fileBytes -= count;
    this.#chunks.push(chunk.subarray(0, count));
    this.#memoryBytes += count;
  }
}

function sendSome(socket: number, bytes: Uint8Array<ArrayBuffer>): number {
  try {
    return send(socket, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
  } catch (error) {
    if (isErrno(error, EAGAIN)) return 0;
    throw error;
  }
}

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

export class OutboundQueue {
  /** A ring as well, made when the socket first takes less than it was given. */
  #memory: Uint8Array<ArrayBuffer> | undefined;
  #memoryStart = 0;
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
   * Sends or keeps one or more whole frames, at most 512 KiB; `frames` is free again when this returns. False
   * where they find no room: then nothing of them is kept, and only `pushLast` may follow.
   *
   * @throws {SyscallError} when the client has gone
   */
  push(frames: Uint8Array<ArrayBuffer>): boolean {
    return this.#push(frames, RESERVE_BYTES);
  }

  /** As `push`, for the frame that ends the conversation: a room is reserved for it. */
  pushLast(frame: Uint8Array<ArrayBuffer>): void {
    if (!this.#push(frame, 0) && this.#fileBytes === 0) this.#remember(frame);
  }

  /**
   * Sends what the socket takes. True when nothing is left.
   *
   * @throws {SyscallError} when the client has gone
   */
  flush(): boolean {
    while (this.backlogBytes > 0) {
      if (this.#memoryBytes === 0) this.#refill();
      const end = Math.min(MEMORY_LIMIT_BYTES, this.#memoryStart + this.#memoryBytes);
      const piece = this.#memory!.subarray(this.#memoryStart, end);
      const sent = sendSome(this.socket, piece);
      this.#memoryStart = (this.#memoryStart + sent) % MEMORY_LIMIT_BYTES;
      this.#memoryBytes -= sent;
      if (sent < piece.length) return false;
    }
    return true;
  }

  /** Drops what is left. The socket stays open. */
  dispose(): void {
    this.#memory = undefined;
    this.#memoryBytes = this.#fileBytes = 0;
    if (this.#file !== -1) close(this.#file);
    this.#file = -1;
  }

  #push(frames: Uint8Array<ArrayBuffer>, reserve: number): boolean {
    if (this.backlogBytes === 0) {
      const sent = sendSome(this.socket, frames);
      if (sent < frames.length) this.#remember(frames.subarray(sent));
      return true;
    }
    if (this.#fileBytes > 0 || this.#memoryBytes + frames.length > MEMORY_LIMIT_BYTES - reserve) {
      return this.#spill(frames, reserve);
    }
    this.#remember(frames);
    return true;
  }

  /** Puts bytes, for which there is room, at the end of the ring in memory. */
  #remember(bytes: Uint8Array): void {
    const memory = this.#memory ??= new Uint8Array(MEMORY_LIMIT_BYTES);
    const at = (this.#memoryStart + this.#memoryBytes) % MEMORY_LIMIT_BYTES;
    const first = Math.min(bytes.length, MEMORY_LIMIT_BYTES - at);
    memory.set(bytes.subarray(0, first), at);
    memory.set(bytes.subarray(first), 0);
    this.#memoryBytes += bytes.length;
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

  /** Reads from the file into the ring in memory, which is empty. */
  #refill(): void {
    const at = this.#fileStart;
    const length = Math.min(MEMORY_LIMIT_BYTES, this.#fileBytes, this.fileLimitBytes - at);
    const count = pread(this.#file, this.#memory!.subarray(0, length), at);
    this.#fileStart = (at + count) % this.fileLimitBytes;
    this.#fileBytes -= count;
    this.#memoryStart = 0;
    this.#memoryBytes = count;
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

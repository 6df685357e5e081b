/**
 * The file behind a log: appended to, rotated at a size, and never the reason why a container stops.
 *
 * `ctr.log` becomes `ctr.log.1` when it is full, and the `.1` before it is gone: a flood of output takes at
 * most twice the limit.
 */

import { libc } from "../../ffi/libc.ts";
import { AT_FDCWD, O_APPEND, O_CLOEXEC, O_CREAT, O_NOFOLLOW, O_WRONLY } from "../../ffi/constants/fcntl.ts";
import { check, EINTR, errno, retry } from "../../ffi/errno.ts";
import { cstring } from "../../ffi/cstring.ts";

const LOG_MODE = 0o600;

export class LogFile {
  #fd: number;
  /** Bytes in the current file. */
  #size: number;
  /** Bytes that the disk refused: full, or over a quota. */
  lostBytes = 0;

  /** Opens or makes the file. `maxSize` in bytes; 0 is no limit. */
  constructor(readonly path: string, readonly maxSize: number) {
    this.#fd = openLog(path);
    this.#size = Number(check("lseek", Number(libc("file").lseek(this.#fd, 0n, 2)), path));
  }

  /** Bytes that fit before the next rotation. */
  get room(): number {
    return this.maxSize === 0 ? Infinity : Math.max(0, this.maxSize - this.#size);
  }

  /** Whether anything is in the current file: an empty one is not rotated. */
  get isEmpty(): boolean {
    return this.#size === 0;
  }

  /**
   * Appends `length` bytes. What the disk refuses is cut off again, so that no torn line stays, and counted:
   * a full disk must not stop the container.
   */
  append(bytes: Uint8Array<ArrayBuffer>, length: number): void {
    const { write, ftruncate } = libc("file");
    let done = 0;
    while (done < length) {
      const count = write(this.#fd, done === 0 ? bytes : bytes.subarray(done), length - done);
      if (count > 0) {
        done += count;
      } else if (errno() !== EINTR) {
        ftruncate(this.#fd, BigInt(this.#size));
        this.lostBytes += length;
        return;
      }
    }
    this.#size += length;
  }

  /** Moves the file to `.1` and begins a new one. Where that fails, the log goes on in the old file. */
  rotate(): void {
    try {
      Deno.renameSync(this.path, `${this.path}.1`);
      const next = openLog(this.path);
      libc("file").close(this.#fd);
      this.#fd = next;
      this.#size = 0;
    } catch {
      libc("file").ftruncate(this.#fd, 0n);
      this.#size = 0;
    }
  }

  close(): void {
    libc("file").close(this.#fd);
  }
}

function openLog(path: string): number {
  const name = cstring(path);
  const flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW;
  return retry("openat", () => libc("file").openat(AT_FDCWD, name, flags, LOG_MODE), path);
}

/** The content of one open file into another: shared, copied in the kernel, or by hand, whatever works first. */

import { ENXIO, isErrno, SyscallError } from "./errno.ts";
import { copy_file_range, ftruncate, ioctl, lseek, read, type Stat, writeAll } from "./file.ts";
import { FICLONE } from "./constants/ioctl.ts";

const SEEK_SET = 0, SEEK_DATA = 3, SEEK_HOLE = 4;
const BUFFER_BYTES = 1 << 18;

/**
 * Copies many files between the same two file systems: what was refused once is not tried again.
 *
 * @see ioctl_ficlone(2), copy_file_range(2)
 */
export class ContentCopier {
  #canClone = true;
  #canCopyRange = true;
  #buffer: Uint8Array<ArrayBuffer> | undefined;

  /** From the beginning of `source`, which `stat` describes, into the empty `target`. Holes stay holes. */
  copy(source: number, target: number, stat: Stat): void {
    if (stat.size > 0 && this.#clone(source, target)) return;
    // What has no size (procfs) is read to its end; what grows meanwhile, up to where it was.
    if (stat.size === 0) return this.#range(source, target, Infinity);
    if (stat.blocks * 512 >= stat.size) return this.#range(source, target, stat.size);
    for (let at = 0; at < stat.size;) {
      const start = seekOrEnd(source, at, SEEK_DATA, stat.size);
      if (start >= stat.size) break;
      const end = seekOrEnd(source, start, SEEK_HOLE, stat.size);
      lseek(source, start, SEEK_SET);
      lseek(target, start, SEEK_SET);
      this.#range(source, target, end - start);
      at = end;
    }
    ftruncate(target, stat.size);
  }

  #clone(source: number, target: number): boolean {
    if (!this.#canClone) return false;
    try {
      ioctl(target, FICLONE, source);
      return true;
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      return this.#canClone = false;
    }
  }

  #range(source: number, target: number, length: number): void {
    let left = length;
    try {
      while (this.#canCopyRange && left > 0) {
        const copied = copy_file_range(source, target, Math.min(left, 1 << 30));
        // Of a file of procfs the kernel copies nothing without saying so.
        if (copied === 0 && left === length) break;
        if (copied === 0) return;
        left -= copied;
      }
    } catch (error) {
      // Refused between some file systems (EXDEV, EINVAL, EOPNOTSUPP), and then at once.
      if (left !== length || !(error instanceof SyscallError)) throw error;
      this.#canCopyRange = false;
    }
    const buffer = this.#buffer ??= new Uint8Array(BUFFER_BYTES);
    while (left > 0) {
      const count = read(source, left < buffer.length ? buffer.subarray(0, left) : buffer);
      if (count === 0) return;
      writeAll(target, buffer.subarray(0, count));
      left -= count;
    }
  }
}

function seekOrEnd(fd: number, offset: number, whence: 3 | 4, end: number): number {
  try {
    return lseek(fd, offset, whence);
  } catch (error) {
    if (isErrno(error, ENXIO)) return end; // No data behind this point.
    throw error;
  }
}

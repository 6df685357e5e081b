/** The system calls that requests are made of: they give -1 and errno, since most failures are ordinary answers. */

import { compileFunction, failure, libc, SYSCALL } from "../../../ffi/libc.ts";
import {
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from "../../../ffi/constants/fcntl.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A name with the NUL that ends it. */
export type Name = Bytes;

/** The empty path, of calls with AT_EMPTY_PATH. */
export const EMPTY: Name = new Uint8Array(1);

/** Compiled: each request makes two or three of these. Those that fail leave their errno as the ones of `libc` do. */
export class Calls {
  readonly close = compileFunction("file", "close");
  readonly #statx = compileFunction("file", "statx");
  readonly #pread = compileFunction("file", "pread");
  readonly #pwrite = compileFunction("file", "pwrite");
  readonly #getdents64 = compileFunction("file", "getdents64");
  readonly #openat2 = compileFunction("file", "openat2");
  readonly #how = new BigUint64Array(3);
  readonly #howBytes = new Uint8Array(this.#how.buffer);

  /**
   * Opens an entry of the folder that `dirfd` is open on, and nothing else: no link is followed, whatever stands there
   * by now.
   */
  openEntry(dirfd: number, name: Name, flags: number, mode = 0): number {
    this.#how[0] = BigInt((flags | O_NOFOLLOW | O_CLOEXEC) >>> 0);
    this.#how[1] = BigInt(mode);
    this.#how[2] = BigInt(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
    const fd = this.#openat2(SYSCALL.openat2, dirfd, name, this.#howBytes, 24n);
    if (fd === -1) failure.last = failure.word[0]!;
    return fd;
  }

  /** A descriptor that stands for the entry, of whatever type, without opening it. */
  openPath(dirfd: number, name: Name): number {
    return this.openEntry(dirfd, name, O_PATH);
  }

  /** @see statx(2) */
  statx(dirfd: number, name: Name, flags: number, mask: number, buffer: Bytes): number {
    const result = this.#statx(dirfd, name, flags, mask, buffer);
    if (result === -1) failure.last = failure.word[0]!;
    return result;
  }

  /** @see pread(2) */
  pread(fd: number, buffer: Bytes, length: number, offset: bigint): number {
    const count = this.#pread(fd, buffer, length, offset);
    if (count === -1) failure.last = failure.word[0]!;
    return count;
  }

  /** @see pwrite(2) */
  pwrite(fd: number, data: Bytes, length: number, offset: bigint): number {
    const count = this.#pwrite(fd, data, length, offset);
    if (count === -1) failure.last = failure.word[0]!;
    return count;
  }

  /** @see getdents64(2) */
  getdents64(fd: number, buffer: Bytes, length: number): number {
    const count = this.#getdents64(fd, buffer, length);
    if (count === -1) failure.last = failure.word[0]!;
    return count;
  }
}

/** The path by which the kernel reaches what `fd` is open on, exactly that. @see proc_pid_fd(5) */
export function descriptorPath(fd: number): Name {
  const text = `/proc/self/fd/${fd}\0`;
  const path = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) path[index] = text.charCodeAt(index);
  return path;
}

/** Those that are rarer go by way of syscall(2). */
export const rare = libc("file");

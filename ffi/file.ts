/**
 * Files and folders, relative to descriptors.
 *
 * A path is text, or bytes where a file system's names need not be UTF-8. Every function throws SyscallError.
 */

import { cstring } from "./cstring.ts";
import { check, EIO, ENOENT, ENOTDIR, errno, isErrno, retry, SyscallError } from "./errno.ts";
import { libc, SYSCALL } from "./libc.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  F_GETFL,
  F_SETFL,
  O_NONBLOCK,
} from "./constants/fcntl.ts";
import { STATX_BASIC_STATS } from "./constants/stat.ts";

export type Path = string | Uint8Array;

/** Shows a path in an error message. */
export function showPath(path: Path): string {
  return typeof path === "string" ? path : new TextDecoder().decode(path);
}

/** A descriptor that is closed at the end of its scope: `using dir = new Fd(openat(…))`. */
export class Fd implements Disposable {
  constructor(readonly number: number) {}
  [Symbol.dispose](): void {
    libc("file").close(this.number);
  }
}

/** @see open(2) */
export function open(path: Path, flags: number, mode = 0): number {
  return openat(AT_FDCWD, path, flags, mode);
}

/** @see openat(2) */
export function openat(dirfd: number, path: Path, flags: number, mode = 0): number {
  const name = cstring(path);
  return retry("openat", () => libc("file").openat(dirfd, name, flags, mode), showPath(path));
}

const how = new BigUint64Array(3);

/**
 * Opens with rules on how the path may resolve (`RESOLVE_IN_ROOT`, …). Linux 5.6.
 *
 * @see openat2(2)
 */
export function openat2(dirfd: number, path: Path, flags: number, resolve: number, mode = 0): number {
  const name = cstring(path);
  for (let attempt = 0;; attempt++) {
    how[0] = BigInt(flags >>> 0);
    how[1] = BigInt(mode);
    how[2] = BigInt(resolve);
    try {
      return retry(
        "openat2",
        () => libc("file").openat2(SYSCALL.openat2, dirfd, name, bytes(how), 24n),
        showPath(path),
      );
    } catch (error) {
      // EAGAIN: a rename or mount raced with `..`; the man page says to try again.
      if (attempt >= 64 || !(error instanceof Error && "errno" in error && error.errno === 11)) throw error;
    }
  }
}

/** As `openat2`, or undefined where nothing is there (ENOENT, ENOTDIR): no exception is made for what is common. */
export function tryOpenat2(dirfd: number, path: Path, flags: number, resolve: number): number | undefined {
  how[0] = BigInt(flags >>> 0);
  how[1] = 0n;
  how[2] = BigInt(resolve);
  const fd = libc("file").openat2(SYSCALL.openat2, dirfd, cstring(path), bytes(how), 24n);
  if (fd !== -1) return fd;
  const code = errno();
  if (code === ENOENT || code === ENOTDIR) return undefined;
  try {
    return openat2(dirfd, path, flags, resolve);
  } catch (error) {
    // it went while it was tried again
    if (isErrno(error, ENOENT, ENOTDIR)) return undefined;
    throw error;
  }
}

/** @see close(2); a failure is of no use to a caller and is dropped. */
export function close(fd: number): void {
  libc("file").close(fd);
}

/** Closes every descriptor from `first` to `last`, both included. Linux 5.9. @see close_range(2) */
export function close_range(first: number, last = 0xffffffff): void {
  check("close_range", libc("file").close_range(SYSCALL.close_range, first, last, 0));
}

/** Descriptors that `closeAllExcept` leaves alone. */
const alwaysKept: number[] = [];

/** Keeps descriptors open in this process and its children, up to an execve. */
export function keepOpen(fds: readonly number[]): void {
  alwaysKept.push(...fds);
}

/** Closes every descriptor from 3 on but these: what a forked child does first. */
export function closeAllExcept(kept: readonly number[]): void {
  let first = 3;
  for (const fd of [...kept, ...alwaysKept].sort((a, b) => a - b)) {
    if (fd < first) continue;
    if (fd > first) close_range(first, fd - 1);
    first = fd + 1;
  }
  close_range(first);
}

/** Reads into `buffer`; gives the bytes read, 0 at the end. @see read(2) */
export function read(fd: number, buffer: Uint8Array<ArrayBuffer>): number {
  return retry("read", () => libc("file").read(fd, buffer, buffer.length));
}

/** One write, which may be partial. @see write(2) */
export function write(fd: number, buffer: Uint8Array<ArrayBuffer>): number {
  return retry("write", () => libc("file").write(fd, buffer, buffer.length));
}

/** Writes all of `buffer` to a blocking descriptor. */
export function writeAll(fd: number, buffer: Uint8Array<ArrayBuffer>): void {
  let offset = 0;
  while (offset < buffer.length) offset += write(fd, offset === 0 ? buffer : buffer.subarray(offset));
}

/** Reads a whole file (or pipe, to its end) of at most `limitBytes`; a longer one throws RangeError. */
export function readAll(fd: number, limitBytes: number): Uint8Array<ArrayBuffer> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    const chunk = new Uint8Array(Math.min(65536, limitBytes - total + 1));
    const count = read(fd, chunk);
    if (count === 0) break;
    total += count;
    if (total > limitBytes) throw new RangeError(`more than ${limitBytes} bytes`);
    chunks.push(chunk.subarray(0, count));
  }
  const all = new Uint8Array(total);
  let offset = 0;
  for (const chunk of chunks) {
    all.set(chunk, offset);
    offset += chunk.length;
  }
  return all;
}

/** Reads on a thread of its own, so that the caller's event loop goes on. @see read(2) */
export async function readAsync(fd: number, buffer: Uint8Array<ArrayBuffer>): Promise<number> {
  // errno belongs to the other thread, so a failure is looked at again from here.
  const count = await libc("file").readAsync(fd, buffer, buffer.length);
  return count === -1 ? read(fd, buffer) : count;
}

/** @see pread(2) */
export function pread(fd: number, buffer: Uint8Array<ArrayBuffer>, offset: number): number {
  return retry("pread", () => libc("file").pread(fd, buffer, buffer.length, BigInt(offset)));
}

/** @see pwrite(2) */
export function pwrite(fd: number, buffer: Uint8Array<ArrayBuffer>, offset: number): number {
  return retry("pwrite", () => libc("file").pwrite(fd, buffer, buffer.length, BigInt(offset)));
}

/** @see lseek(2) */
export function lseek(fd: number, offset: number, whence: 0 | 1 | 2 | 3 | 4): number {
  const result = Number(libc("file").lseek(fd, BigInt(offset), whence));
  return check("lseek", result);
}

/** @see ftruncate(2) */
export function ftruncate(fd: number, length: number): void {
  retry("ftruncate", () => libc("file").ftruncate(fd, BigInt(length)));
}

/** @see fsync(2) */
export function fsync(fd: number): void {
  retry("fsync", () => libc("file").fsync(fd));
}

/** Waits on a thread of its own. @see fsync(2) */
export async function fsyncAsync(fd: number): Promise<void> {
  // errno is that thread's own; and asked again the kernel would say that all is well: it tells of an error once
  if (await libc("sync").fsyncAsync(fd) === -1) throw new SyscallError("fsync", EIO);
}

/** @see fallocate(2) */
export function fallocate(fd: number, mode: number, offset: number, length: number): void {
  retry("fallocate", () => libc("file").fallocate(fd, mode, BigInt(offset), BigInt(length)));
}

/** @see syncfs(2) */
export function syncfs(fd: number): void {
  retry("syncfs", () => libc("file").syncfs(fd));
}

/** What statx(2) tells. Device numbers are pairs, times are seconds and nanoseconds. */
export interface Stat {
  /** Type and permission bits. */
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  ino: bigint;
  size: number;
  /** Of 512 bytes. */
  blocks: number;
  atimeSec: number;
  atimeNsec: number;
  mtimeSec: number;
  mtimeNsec: number;
  ctimeSec: number;
  ctimeNsec: number;
  rdevMajor: number;
  rdevMinor: number;
  devMajor: number;
  devMinor: number;
  /** STATX_ATTR_* bits. */
  attributes: number;
}

const statBuffer = new Uint8Array(256);
const statView = new DataView(statBuffer.buffer);

/** @see statx(2). With an empty path and AT_EMPTY_PATH it describes `dirfd` itself. */
export function statx(dirfd: number, path: Path, flags = 0, mask = STATX_BASIC_STATS): Stat {
  const name = cstring(path);
  retry("statx", () => libc("file").statx(dirfd, name, flags, mask, statBuffer), showPath(path));
  const v = statView;
  return {
    attributes: Number(v.getBigUint64(8, true) & 0xffffffffn),
    nlink: v.getUint32(16, true),
    uid: v.getUint32(20, true),
    gid: v.getUint32(24, true),
    mode: v.getUint16(28, true),
    ino: v.getBigUint64(32, true),
    size: Number(v.getBigUint64(40, true)),
    blocks: Number(v.getBigUint64(48, true)),
    atimeSec: Number(v.getBigInt64(64, true)),
    atimeNsec: v.getUint32(72, true),
    ctimeSec: Number(v.getBigInt64(96, true)),
    ctimeNsec: v.getUint32(104, true),
    mtimeSec: Number(v.getBigInt64(112, true)),
    mtimeNsec: v.getUint32(120, true),
    rdevMajor: v.getUint32(128, true),
    rdevMinor: v.getUint32(132, true),
    devMajor: v.getUint32(136, true),
    devMinor: v.getUint32(140, true),
  };
}

/** What a descriptor, O_PATH included, is open on. */
export function fstat(fd: number): Stat {
  return statx(fd, "", AT_EMPTY_PATH);
}

/** As lstat(2): a symbolic link is described itself. */
export function lstat(path: Path): Stat {
  return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
}

/** @see mkdirat(2) */
export function mkdirat(dirfd: number, path: Path, mode: number): void {
  const name = cstring(path);
  check("mkdirat", libc("file").mkdirat(dirfd, name, mode), showPath(path));
}

/** `mode` holds the type. `major` and `minor` are for devices. @see mknodat(2), makedev(3) */
export function mknodat(dirfd: number, path: Path, mode: number, major = 0, minor = 0): void {
  const name = cstring(path);
  check("mknodat", libc("file").mknodat(dirfd, name, mode, makedev(major, minor)), showPath(path));
}

/** glibc's dev_t. @see makedev(3) */
export function makedev(major: number, minor: number): bigint {
  const [a, b] = [BigInt(major), BigInt(minor)];
  return ((a & 0xfffff000n) << 32n) | ((a & 0xfffn) << 8n) | ((b & 0xffffff00n) << 12n) | (b & 0xffn);
}

/** @see symlinkat(2) */
export function symlinkat(target: Path, dirfd: number, path: Path): void {
  const [to, name] = [cstring(target), cstring(path)];
  check("symlinkat", libc("file").symlinkat(to, dirfd, name), showPath(path));
}

/** @see linkat(2) */
export function linkat(fromFd: number, from: Path, toFd: number, to: Path, flags = 0): void {
  const [source, target] = [cstring(from), cstring(to)];
  check("linkat", libc("file").linkat(fromFd, source, toFd, target, flags), showPath(to));
}

/** `AT_REMOVEDIR` removes a folder. @see unlinkat(2) */
export function unlinkat(dirfd: number, path: Path, flags = 0): void {
  const name = cstring(path);
  check("unlinkat", libc("file").unlinkat(dirfd, name, flags), showPath(path));
}

/** @see renameat2(2) */
export function renameat2(fromFd: number, from: Path, toFd: number, to: Path, flags = 0): void {
  const [source, target] = [cstring(from), cstring(to)];
  check("renameat2", libc("file").renameat2(fromFd, source, toFd, target, flags), showPath(to));
}

/** The raw bytes of a symbolic link, at most 4096. @see readlinkat(2) */
export function readlinkat(dirfd: number, path: Path): Uint8Array<ArrayBuffer> {
  const name = cstring(path);
  const buffer = new Uint8Array(4096);
  const length = check(
    "readlinkat",
    libc("file").readlinkat(dirfd, name, buffer, buffer.length),
    showPath(path),
  );
  return buffer.subarray(0, length);
}

/** @see fchmod(2) */
export function fchmod(fd: number, mode: number): void {
  check("fchmod", libc("file").fchmod(fd, mode));
}

/** Follows a link at the end of `path`, as the kernel's call always does. @see fchmodat(2) */
export function fchmodat(dirfd: number, path: Path, mode: number): void {
  const name = cstring(path);
  check("fchmodat", libc("file").fchmodat(dirfd, name, mode, 0), showPath(path));
}

/** @see fchownat(2) */
export function fchownat(
  dirfd: number,
  path: Path,
  uid: number,
  gid: number,
  flags = AT_SYMLINK_NOFOLLOW,
): void {
  const name = cstring(path);
  check("fchownat", libc("file").fchownat(dirfd, name, uid, gid, flags), showPath(path));
}

/** A time of utimensat(2); `nsec` may be UTIME_OMIT or UTIME_NOW. */
export interface Timespec {
  sec: number;
  nsec: number;
}

const times = new BigInt64Array(4);

/** @see utimensat(2) */
export function utimensat(
  dirfd: number,
  path: Path,
  atime: Timespec,
  mtime: Timespec,
  flags = AT_SYMLINK_NOFOLLOW,
): void {
  const name = cstring(path);
  times[0] = BigInt(atime.sec);
  times[1] = BigInt(atime.nsec);
  times[2] = BigInt(mtime.sec);
  times[3] = BigInt(mtime.nsec);
  check("utimensat", libc("file").utimensat(dirfd, name, bytes(times), flags), showPath(path));
}

/** Whether the effective ids may access the file so (`X_OK`, …), with AT_EACCESS in `flags`. @see faccessat(2) */
export function faccessat(dirfd: number, path: Path, mode: number, flags = 0): boolean {
  return libc("file").faccessat(dirfd, cstring(path), mode, flags) === 0;
}

/** The same as an errno, 0 where they may: what is looked for in many places is no exception in all but one. */
export function accessErrno(dirfd: number, path: Path, mode: number, flags = 0): number {
  return libc("file").faccessat(dirfd, cstring(path), mode, flags) === 0 ? 0 : errno();
}

/** @see dup2(2): the copy has no close-on-exec flag. */
export function dup2(from: number, to: number): void {
  retry("dup2", () => libc("file").dup2(from, to));
}

/** @see dup3(2) */
export function dup3(from: number, to: number, flags: number): void {
  retry("dup3", () => libc("file").dup3(from, to, flags));
}

/** [read end, write end]. @see pipe2(2) */
export function pipe2(flags: number): [number, number] {
  const ends = new Int32Array(2);
  check("pipe2", libc("file").pipe2(bytes(ends), flags));
  return [ends[0]!, ends[1]!];
}

/** @see fcntl(2) */
export function fcntl(fd: number, command: number, argument = 0): number {
  return check("fcntl", libc("file").fcntl(fd, command, argument));
}

/** Sets or clears O_NONBLOCK. */
export function setNonblocking(fd: number, nonblocking = true): void {
  const flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

/** Locks at once or throws EAGAIN: `operation` must have LOCK_NB, or be LOCK_UN. @see flock(2) */
export function flock(fd: number, operation: number): void {
  retry("flock", () => libc("file").flock(fd, operation));
}

/** Waits for the lock; for forked children only. @see flock(2) */
export function flockBlocking(fd: number, operation: number): void {
  retry("flock", () => libc("file").flock(fd, operation));
}

/** Waits for the lock on a thread of its own. @see flock(2) */
export async function flockAsync(fd: number, operation: number): Promise<void> {
  while (await libc("file").flockAsync(fd, operation) !== 0) flock(fd, operation | 4);
}

/** @see memfd_create(2) */
export function memfd_create(name: string, flags: number): number {
  return check("memfd_create", libc("file").memfd_create(cstring(name), flags), name);
}

/** @see ioctl(2) */
export function ioctl(fd: number, request: number, argument: number | Uint8Array<ArrayBuffer>): number {
  return typeof argument === "number"
    ? check("ioctl", libc("file").ioctl(fd, BigInt(request), argument))
    : check("ioctl", libc("file").ioctlBuffer(fd, BigInt(request), argument));
}

/**
 * Copies within the kernel from and to the descriptors' offsets, or from `fromOffset`; 0 at the end.
 *
 * @see copy_file_range(2)
 */
export function copy_file_range(from: number, to: number, length: number, fromOffset?: number): number {
  const offset = fromOffset === undefined ? undefined : new BigInt64Array([BigInt(fromOffset)]);
  const pointer = offset === undefined ? null : Deno.UnsafePointer.of(offset);
  return retry("copy_file_range", () => libc("file").copy_file_range(from, pointer, to, null, length, 0));
}

/** An entry of a folder: its raw name and DT_* type. */
export interface Dirent {
  name: Uint8Array<ArrayBuffer>;
  /** DT_DIR 4, DT_REG 8, DT_LNK 10, DT_CHR 2, DT_BLK 6, DT_FIFO 1, DT_SOCK 12, DT_UNKNOWN 0. */
  type: number;
}

/** All entries but `.` and `..`, from the descriptor's offset on. @see getdents64(2) */
export function readdir(fd: number): Dirent[] {
  const entries: Dirent[] = [];
  const buffer = new Uint8Array(32768);
  const view = new DataView(buffer.buffer);
  for (;;) {
    const length = retry("getdents64", () => libc("file").getdents64(fd, buffer, buffer.length));
    if (length === 0) return entries;
    for (let offset = 0; offset < length;) {
      const recordLength = view.getUint16(offset + 16, true);
      const type = buffer[offset + 18]!;
      const end = buffer.indexOf(0, offset + 19);
      const name = buffer.slice(offset + 19, end);
      const isDot = name[0] === 46 && (name.length === 1 || (name.length === 2 && name[1] === 46));
      if (!isDot) entries.push({ name, type });
      offset += recordLength;
    }
  }
}

/** The bytes of any typed array. */
function bytes(array: ArrayBufferView<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

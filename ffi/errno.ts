/**
 * errno, read in one place, and the error that every wrapper throws.
 *
 * @see errno(3), asm-generic/errno-base.h, asm-generic/errno.h
 */

import { failure } from "./libc.ts";

/** Symbolic code, number and text (as strerror(3) words it) of what skiff meets; the same on both machines. */
const ERRORS: readonly (readonly [code: string, errno: number, text: string])[] = [
  ["EPERM", 1, "Operation not permitted"],
  ["ENOENT", 2, "No such file or directory"],
  ["ESRCH", 3, "No such process"],
  ["EINTR", 4, "Interrupted system call"],
  ["EIO", 5, "Input/output error"],
  ["ENXIO", 6, "No such device or address"],
  ["E2BIG", 7, "Argument list too long"],
  ["ENOEXEC", 8, "Exec format error"],
  ["EBADF", 9, "Bad file descriptor"],
  ["ECHILD", 10, "No child processes"],
  ["EAGAIN", 11, "Resource temporarily unavailable"],
  ["ENOMEM", 12, "Cannot allocate memory"],
  ["EACCES", 13, "Permission denied"],
  ["EFAULT", 14, "Bad address"],
  ["ENOTBLK", 15, "Block device required"],
  ["EBUSY", 16, "Device or resource busy"],
  ["EEXIST", 17, "File exists"],
  ["EXDEV", 18, "Invalid cross-device link"],
  ["ENODEV", 19, "No such device"],
  ["ENOTDIR", 20, "Not a directory"],
  ["EISDIR", 21, "Is a directory"],
  ["EINVAL", 22, "Invalid argument"],
  ["ENFILE", 23, "Too many open files in system"],
  ["EMFILE", 24, "Too many open files"],
  ["ENOTTY", 25, "Inappropriate ioctl for device"],
  ["ETXTBSY", 26, "Text file busy"],
  ["EFBIG", 27, "File too large"],
  ["ENOSPC", 28, "No space left on device"],
  ["ESPIPE", 29, "Illegal seek"],
  ["EROFS", 30, "Read-only file system"],
  ["EMLINK", 31, "Too many links"],
  ["EPIPE", 32, "Broken pipe"],
  ["EDOM", 33, "Numerical argument out of domain"],
  ["ERANGE", 34, "Numerical result out of range"],
  ["EDEADLK", 35, "Resource deadlock avoided"],
  ["ENAMETOOLONG", 36, "File name too long"],
  ["ENOSYS", 38, "Function not implemented"],
  ["ENOTEMPTY", 39, "Directory not empty"],
  ["ELOOP", 40, "Too many levels of symbolic links"],
  ["ENODATA", 61, "No data available"],
  ["EOVERFLOW", 75, "Value too large for defined data type"],
  ["EUSERS", 87, "Too many users"],
  ["ENOTSOCK", 88, "Socket operation on non-socket"],
  ["EMSGSIZE", 90, "Message too long"],
  ["EPROTONOSUPPORT", 93, "Protocol not supported"],
  ["EOPNOTSUPP", 95, "Operation not supported"],
  ["EAFNOSUPPORT", 97, "Address family not supported by protocol"],
  ["EADDRINUSE", 98, "Address already in use"],
  ["EADDRNOTAVAIL", 99, "Cannot assign requested address"],
  ["ENETUNREACH", 101, "Network is unreachable"],
  ["ECONNABORTED", 103, "Software caused connection abort"],
  ["ECONNRESET", 104, "Connection reset by peer"],
  ["ENOBUFS", 105, "No buffer space available"],
  ["EISCONN", 106, "Transport endpoint is already connected"],
  ["ENOTCONN", 107, "Transport endpoint is not connected"],
  ["ETIMEDOUT", 110, "Connection timed out"],
  ["ECONNREFUSED", 111, "Connection refused"],
  ["EHOSTUNREACH", 113, "No route to host"],
  ["EALREADY", 114, "Operation already in progress"],
  ["EINPROGRESS", 115, "Operation now in progress"],
  ["ESTALE", 116, "Stale file handle"],
  ["EDQUOT", 122, "Disk quota exceeded"],
];

const BY_NUMBER = new Map(ERRORS.map((entry) => [entry[1], entry]));

/** Numbers by their C names. */
export const EPERM = 1;
export const ENOENT = 2;
export const ESRCH = 3;
export const EINTR = 4;
export const EIO = 5;
export const ENXIO = 6;
export const ENOEXEC = 8;
export const EBADF = 9;
export const ECHILD = 10;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EBUSY = 16;
export const EEXIST = 17;
export const EXDEV = 18;
export const ENODEV = 19;
export const ENOTDIR = 20;
export const EISDIR = 21;
export const EINVAL = 22;
export const ENFILE = 23;
export const EMFILE = 24;
export const EFBIG = 27;
export const ENOSPC = 28;
export const EROFS = 30;
export const EPIPE = 32;
export const ERANGE = 34;
export const ENAMETOOLONG = 36;
export const ENOSYS = 38;
export const ENOTEMPTY = 39;
export const ELOOP = 40;
export const ENODATA = 61;
export const EOVERFLOW = 75;
export const EMSGSIZE = 90;
export const EPROTONOSUPPORT = 93;
export const EOPNOTSUPP = 95;
export const EAFNOSUPPORT = 97;
export const EADDRINUSE = 98;
export const EADDRNOTAVAIL = 99;
export const ENETUNREACH = 101;
export const ECONNABORTED = 103;
export const ECONNRESET = 104;
export const ENOBUFS = 105;
export const ENOTCONN = 107;
export const ETIMEDOUT = 110;
export const ECONNREFUSED = 111;
export const EHOSTUNREACH = 113;
export const EALREADY = 114;
export const EINPROGRESS = 115;
export const ESTALE = 116;

/** A system call that failed. `message` reads ``openat `/etc/passwd`: Permission denied``. */
export class SyscallError extends Error {
  override name = "SyscallError";
  /** `EACCES`, or `E<number>` where it has no name here. */
  readonly code: string;
  constructor(readonly syscall: string, readonly errno: number, readonly path?: string) {
    super(`${syscall}${path === undefined ? "" : ` \`${path}\``}: ${errnoText(errno)}`);
    this.code = errnoCode(errno);
  }
}

/** The text of strerror(3). */
export function errnoText(errno: number): string {
  return BY_NUMBER.get(errno)?.[2] ?? `errno ${errno}`;
}

/** The symbolic name, `ENOENT`. */
export function errnoCode(errno: number): string {
  return BY_NUMBER.get(errno)?.[0] ?? `E${errno}`;
}

/** The errno of the call of `libc` that failed last. */
export function errno(): number {
  return failure.last;
}

/** Gives a call's result, or throws a SyscallError when it is -1. */
export function check(syscall: string, result: number, path?: string): number {
  if (result === -1) throw new SyscallError(syscall, errno(), path);
  return result;
}

/** Makes a call again while it is interrupted (EINTR), then as `check`. */
export function retry(syscall: string, call: () => number, path?: string): number {
  for (;;) {
    const result = call();
    if (result !== -1) return result;
    const code = errno();
    if (code !== EINTR) throw new SyscallError(syscall, code, path);
  }
}

/** Whether `error` is a failed system call with one of these errno values. */
export function isErrno(error: unknown, ...errnos: number[]): error is SyscallError {
  return error instanceof SyscallError && errnos.includes(error.errno);
}

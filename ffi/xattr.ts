/** Extended attributes, of links themselves and of open files. Every function throws SyscallError. @see xattr(7) */

import { cstring } from "./cstring.ts";
import { check, ENODATA, EOPNOTSUPP, ERANGE, errno, SyscallError } from "./errno.ts";
import { type Path, showPath } from "./file.ts";
import { libc } from "./libc.ts";

const EMPTY = new Uint8Array(1);

/** @see lsetxattr(2) */
export function lsetxattr(path: Path, name: Path, value: Uint8Array<ArrayBuffer>, flags = 0): void {
  const [file, key] = [cstring(path), cstring(name)];
  check(
    "lsetxattr",
    libc("xattr").lsetxattr(file, key, value.length ? value : EMPTY, value.length, flags),
    showPath(path),
  );
}

/** @see fsetxattr(2) */
export function fsetxattr(fd: number, name: Path, value: Uint8Array<ArrayBuffer>, flags = 0): void {
  const key = cstring(name);
  check(
    "fsetxattr",
    libc("xattr").fsetxattr(fd, key, value.length ? value : EMPTY, value.length, flags),
    showPath(name),
  );
}

/** The value, or undefined where the attribute or the support for it is missing. @see lgetxattr(2) */
export function lgetxattr(path: Path, name: Path): Uint8Array<ArrayBuffer> | undefined {
  const [file, key] = [cstring(path), cstring(name)];
  return value((buffer) => libc("xattr").lgetxattr(file, key, buffer, buffer.length), "lgetxattr", path);
}

/** As `lgetxattr`, of an open file. @see fgetxattr(2) */
export function fgetxattr(fd: number, name: Path): Uint8Array<ArrayBuffer> | undefined {
  const key = cstring(name);
  return value((buffer) => libc("xattr").fgetxattr(fd, key, buffer, buffer.length), "fgetxattr", name);
}

/** The names, in the kernel's order. @see llistxattr(2) */
export function llistxattr(path: Path): Uint8Array<ArrayBuffer>[] {
  const file = cstring(path);
  return split(value((buffer) => libc("xattr").llistxattr(file, buffer, buffer.length), "llistxattr", path));
}

/** @see flistxattr(2) */
export function flistxattr(fd: number): Uint8Array<ArrayBuffer>[] {
  return split(value((buffer) => libc("xattr").flistxattr(fd, buffer, buffer.length), "flistxattr", ""));
}

/** Removes the attribute; nothing where it or the support for it is missing. @see lremovexattr(2) */
export function lremovexattr(path: Path, name: Path): void {
  const [file, key] = [cstring(path), cstring(name)];
  if (libc("xattr").lremovexattr(file, key) === 0) return;
  const code = errno();
  if (code !== ENODATA && code !== EOPNOTSUPP) throw new SyscallError("lremovexattr", code, showPath(path));
}

function value(
  call: (buffer: Uint8Array<ArrayBuffer>) => number,
  syscall: string,
  path: Path,
): Uint8Array<ArrayBuffer> | undefined {
  for (let size = 256;; size = 65536) {
    const buffer = new Uint8Array(size);
    const length = call(buffer);
    if (length !== -1) return buffer.subarray(0, length);
    const code = errno();
    if (code === ENODATA || code === EOPNOTSUPP) return undefined;
    // An attribute or list is never longer than 64 KiB (XATTR_SIZE_MAX, XATTR_LIST_MAX).
    if (code !== ERANGE || size === 65536) throw new SyscallError(syscall, code, showPath(path));
  }
}

function split(list: Uint8Array<ArrayBuffer> | undefined): Uint8Array<ArrayBuffer>[] {
  const names: Uint8Array<ArrayBuffer>[] = [];
  for (let start = 0; list && start < list.length;) {
    const end = list.indexOf(0, start);
    names.push(list.subarray(start, end));
    start = end + 1;
  }
  return names;
}

/** Mounts. Every function throws SyscallError. @see mount(2), mount_setattr(2) */

import { cstring } from "./cstring.ts";
import { check, SyscallError } from "./errno.ts";
import { close, Fd, open } from "./file.ts";
import { O_CLOEXEC, O_PATH } from "./constants/fcntl.ts";
import { libc, SYSCALL } from "./libc.ts";
import {
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
} from "./constants/mount.ts";

/** @see mount(2). Options longer than a page are refused by the kernel: use fsconfig. */
export function mount(
  source: string | null,
  target: string,
  type: string | null,
  flags: number,
  data = "",
): void {
  const [from, to, kind, options] = [source, target, type, data].map((text) =>
    text === null ? null : cstring(text)
  );
  const result = libc("mount").mount(from!, to!, kind!, BigInt(flags >>> 0), data === "" ? null : options!);
  check("mount", result, target);
}

/** @see umount2(2) */
export function umount2(target: string, flags: number): void {
  check("umount2", libc("mount").umount2(cstring(target), flags), target);
}

/** @see pivot_root(2) */
export function pivot_root(newRoot: string, putOld: string): void {
  check(
    "pivot_root",
    libc("mount").pivot_root(SYSCALL.pivot_root, cstring(newRoot), cstring(putOld)),
    newRoot,
  );
}

/** A descriptor of a mount, or with OPEN_TREE_CLONE of a detached copy. @see open_tree(2) */
export function open_tree(dirfd: number, path: string, flags: number): number {
  return check("open_tree", libc("mount").open_tree(SYSCALL.open_tree, dirfd, cstring(path), flags), path);
}

/** @see move_mount(2) */
export function move_mount(fromFd: number, from: string, toFd: number, to: string, flags: number): void {
  const [source, target] = [cstring(from), cstring(to)];
  check("move_mount", libc("mount").move_mount(SYSCALL.move_mount, fromFd, source, toFd, target, flags), to);
}

/** @see fsopen(2) */
export function fsopen(type: string, flags: number): number {
  return check("fsopen", libc("mount").fsopen(SYSCALL.fsopen, cstring(type), flags), type);
}

/** @see fsconfig(2) */
export function fsconfig(
  fd: number,
  command: number,
  key: string | null,
  value: string | null,
  aux = 0,
): void {
  const [name, text] = [key, value].map((part) => part === null ? null : cstring(part));
  check("fsconfig", libc("mount").fsconfig(SYSCALL.fsconfig, fd, command, name!, text!, aux), key ?? "");
}

/** A descriptor of the new, detached mount. @see fsmount(2) */
export function fsmount(fd: number, flags: number, attributes: number): number {
  return check("fsmount", libc("mount").fsmount(SYSCALL.fsmount, fd, flags, attributes));
}

/** A new file system of `type`, a mount without a place; `data` are its own options, `key=value` or a bare flag. */
export function newFilesystem(
  type: string,
  source: string,
  data: readonly string[],
  attributes: number,
): number {
  using context = new Fd(fsopen(type, FSOPEN_CLOEXEC));
  if (source !== "") fsconfig(context.number, FSCONFIG_SET_STRING, "source", source);
  for (const option of data) {
    const split = option.indexOf("=");
    if (split === -1) fsconfig(context.number, FSCONFIG_SET_FLAG, option, null);
    else fsconfig(context.number, FSCONFIG_SET_STRING, option.slice(0, split), option.slice(split + 1));
  }
  try {
    fsconfig(context.number, FSCONFIG_CMD_CREATE, null, null);
  } catch (error) {
    throw error instanceof SyscallError ? new SyscallError("create file system", error.errno, type) : error;
  }
  return fsmount(context.number, FSMOUNT_CLOEXEC, attributes);
}

/** What mount_setattr(2) changes; propagation is MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE or 0. */
export interface MountAttributes {
  set: number;
  clear: number;
  propagation?: number;
  /** For MOUNT_ATTR_IDMAP: the user namespace. */
  userNamespaceFd?: number;
}

/** Linux 5.12. @see mount_setattr(2) */
export function mount_setattr(dirfd: number, path: string, flags: number, attributes: MountAttributes): void {
  const data = new BigUint64Array([
    BigInt(attributes.set),
    BigInt(attributes.clear),
    BigInt(attributes.propagation ?? 0),
    BigInt(attributes.userNamespaceFd ?? 0),
  ]);
  const result = libc("mount").mount_setattr(
    SYSCALL.mount_setattr,
    dirfd,
    cstring(path),
    flags,
    new Uint8Array(data.buffer),
    32n,
  );
  check("mount_setattr", result, path);
}

/** f_type of the file system that a descriptor (O_PATH too) is on. @see fstatfs(2) */
export function filesystemType(fd: number): number {
  const buffer = new Uint8Array(120);
  check("fstatfs", libc("mount").fstatfs(fd, buffer));
  return Number(new DataView(buffer.buffer).getBigInt64(0, true)) >>> 0;
}

export interface FilesystemSize {
  totalBytes: number;
  usedBytes: number;
  /** To who is not root: less than the difference of the others where some is kept for root. */
  availableBytes: number;
}

/** The size of the file system that a path is on. */
export function filesystemSizeOf(path: string): FilesystemSize {
  const fd = open(path, O_PATH | O_CLOEXEC);
  try {
    return filesystemSize(fd);
  } finally {
    close(fd);
  }
}

/** How large the file system of an open file is, and how much of it is in use, in bytes. @see statfs(2) */
export function filesystemSize(fd: number): FilesystemSize {
  const buffer = new Uint8Array(120);
  check("fstatfs", libc("mount").fstatfs(fd, buffer));
  const field = (index: number) => Number(new DataView(buffer.buffer).getBigInt64(index * 8, true));
  const [blockBytes, blocks, free, available] = [field(1), field(2), field(3), field(4)];
  return {
    totalBytes: blocks * blockBytes,
    usedBytes: (blocks - free) * blockBytes,
    availableBytes: available * blockBytes,
  };
}

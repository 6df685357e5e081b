/**
 * Copies a layer's tree: with its ids shifted for a nested user namespace, or merged over what lower layers
 * left (vfs). By descriptors, synchronous, for forked children.
 *
 * Kept: owners, modes, times in nanoseconds, extended attributes, hard links, holes, devices. Data is
 * shared by reflink where the file system can, copied in the kernel where it cannot.
 *
 * @see ioctl_ficlone(2), copy_file_range(2); Documentation/filesystems/overlayfs.rst
 */

import { bytesOf, byteString, displayName } from "../archive/byte_string.ts";
import { HostError } from "../errors.ts";
import type { IdMapping } from "../spec/runtime.ts";
import { EOPNOTSUPP, EPERM, isErrno, SyscallError } from "../../ffi/errno.ts";
import { ContentCopier } from "../../ffi/content_copy.ts";
import {
  close,
  fchmod,
  fchownat,
  fstat,
  linkat,
  mkdirat,
  mknodat,
  openat,
  openat2,
  readdir,
  readlinkat,
  type Stat,
  statx,
  symlinkat,
  utimensat,
} from "../../ffi/file.ts";
import { fgetxattr, flistxattr, fsetxattr, lgetxattr, llistxattr, lsetxattr } from "../../ffi/xattr.ts";
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
} from "../../ffi/constants/fcntl.ts";
import { S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts";
import { setModeOfNode } from "./entry_metadata.ts";
import { IMPLIED_ROOT_MTIME } from "./layers.ts";
import { removeTree } from "./remove_tree.ts";

/** How ids inside a nested namespace are numbered in the one around it. */
export interface NestedMaps {
  uid: IdMapping[];
  gid: IdMapping[];
}

export interface CopyOptions {
  /** Ids of the image become the ids that stand for them. */
  shift?: NestedMaps;
  /** `keep`: whiteouts and opaque marks are copied. `apply`: they remove what is in the target. */
  marks: "keep" | "apply";
  /** Fails where an extended attribute cannot be copied, or means something else outside of the user's namespace. */
  isStrict?: boolean;
  /** Fails at more than that, before it is copied. */
  limits?: CopyLimits;
}

export interface CopyLimits {
  entries: number;
  /** Of all files and extended attributes together, and of one folder's names, as the file system counts them. */
  bytes: number;
}

type Bytes = Uint8Array<ArrayBuffer>;

const OPEN_FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
const OPAQUE_MARKS = ["user.overlay.opaque", "trusted.overlay.opaque"].map((name) => bytesOf(name));

/** Copies what is in the folder `from` into the folder `to`, and gives `to` the attributes of `from`. */
export function copyLayer(from: number, to: number, options: CopyOptions): void {
  new LayerCopy(to, options).folder(from, to, "");
}

/** The id that stands for `id`. @throws {HostError} where the map has none */
export function shiftId(mappings: readonly IdMapping[], id: number): number {
  for (const { containerID, hostID, size } of mappings) {
    if (id >= containerID && id < containerID + size) return hostID + id - containerID;
  }
  throw new HostError(`shift layer: id ${id} is not in the container's user namespace`, {
    hint: "give the user a larger range in /etc/subuid and /etc/subgid",
  });
}

class LayerCopy {
  #root: number;
  #options: CopyOptions;
  /** First names of files with several, by device and inode. */
  #links = new Map<string, string>();
  #content = new ContentCopier();
  #left: CopyLimits;

  constructor(root: number, options: CopyOptions) {
    this.#root = root;
    this.#options = options;
    this.#left = { ...(options.limits ?? { entries: Infinity, bytes: Infinity }) };
  }

  folder(from: number, to: number, path: string): void {
    if (this.#options.marks === "apply" && isOpaque(from)) {
      for (const { name } of readdir(to)) removeTree(to, name);
    }
    // the names are read at once
    if (this.#options.limits !== undefined && fstat(from).size > this.#options.limits.bytes) throw tooLarge();
    for (const { name } of readdir(from)) this.#entry(from, to, name, path);
    const stat = fstat(from);
    // A root that the archive has no entry for leaves what a lower layer said.
    if (path === "" && this.#options.marks === "apply" && stat.mtimeSec === IMPLIED_ROOT_MTIME) return;
    this.#attributes(from, to, stat);
  }

  #entry(from: number, to: number, name: Bytes, parentPath: string): void {
    if (--this.#left.entries < 0) throw tooLarge();
    const stat = statx(from, name, AT_SYMLINK_NOFOLLOW);
    const type = stat.mode & S_IFMT;
    const path = parentPath === "" ? byteString(name) : `${parentPath}/${byteString(name)}`;
    if (this.#options.marks === "apply" && !this.#makeRoom(to, name, stat)) return;
    if (type === S_IFDIR) return this.#subfolder(from, to, name, path);
    if (stat.nlink > 1) {
      const key = `${stat.devMajor}:${stat.devMinor}:${stat.ino}`;
      const first = this.#links.get(key);
      if (first !== undefined) return this.#link(first, to, name);
      this.#links.set(key, path);
    }
    if (type === S_IFREG) return this.#file(from, to, name, stat);
    if (type === S_IFLNK) symlinkat(readlinkat(from, name), to, name);
    else mknodat(to, name, stat.mode, stat.rdevMajor, stat.rdevMinor);
    this.#node(from, to, name, stat);
  }

  /** Removes what the entry replaces. False for a whiteout, which is nothing but that. */
  #makeRoom(to: number, name: Bytes, stat: Stat): boolean {
    if (isWhiteout(stat)) {
      removeTree(to, name);
      return false;
    }
    const isFolder = (stat.mode & S_IFMT) === S_IFDIR;
    if (!isFolder || !isExistingFolder(to, name)) removeTree(to, name);
    return true;
  }

  #subfolder(from: number, to: number, name: Bytes, path: string): void {
    if (this.#options.marks === "keep" || !isExistingFolder(to, name)) mkdirat(to, name, 0o700);
    const source = openat(from, name, OPEN_FOLDER);
    try {
      const target = openat(to, name, OPEN_FOLDER);
      try {
        this.folder(source, target, path);
      } finally {
        close(target);
      }
    } finally {
      close(source);
    }
  }

  #link(first: string, to: number, name: Bytes): void {
    const slash = first.lastIndexOf("/");
    const folder = slash === -1 ? "." : first.slice(0, slash);
    const flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    const fd = openat2(this.#root, bytesOf(folder), flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    try {
      linkat(fd, bytesOf(first.slice(slash + 1)), to, name);
    } finally {
      close(fd);
    }
  }

  #file(from: number, to: number, name: Bytes, stat: Stat): void {
    if ((this.#left.bytes -= stat.size) < 0) throw tooLarge();
    // of a container that runs it may have become a FIFO, for which nobody waits
    const source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    try {
      if ((fstat(source).mode & S_IFMT) !== S_IFREG) {
        throw new HostError(`copy layer: "${displayName(byteString(name))}" was replaced meanwhile`);
      }
      const target = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600);
      try {
        if (stat.size > 0) this.#content.copy(source, target, stat);
        this.#attributes(source, target, stat);
      } finally {
        close(target);
      }
    } finally {
      close(source);
    }
  }

  /** Of an open file or folder; in the order that loses nothing: chown clears modes and capabilities. */
  #attributes(from: number, to: number, stat: Stat): void {
    fchownat(to, "", this.#uid(stat), this.#gid(stat), AT_EMPTY_PATH);
    fchmod(to, stat.mode & 0o7777);
    for (const name of flistxattr(from)) {
      if (!this.#isWanted(name)) continue;
      const value = fgetxattr(from, name);
      if (value !== undefined) this.#setAttribute(name, value, () => fsetxattr(to, name, value));
    }
    const { atime, mtime } = timesOf(stat);
    utimensat(to, "", atime, mtime, AT_EMPTY_PATH);
  }

  /** Of what is not opened. */
  #node(from: number, to: number, name: Bytes, stat: Stat): void {
    if (!isWhiteout(stat)) {
      fchownat(to, name, this.#uid(stat), this.#gid(stat), AT_SYMLINK_NOFOLLOW);
      if ((stat.mode & S_IFMT) !== S_IFLNK) setModeOfNode(to, name, stat.mode & 0o7777);
      const [source, target] = [procPath(from, name), procPath(to, name)];
      for (const key of llistxattr(source)) {
        if (!this.#isWanted(key)) continue;
        const value = lgetxattr(source, key);
        if (value !== undefined) this.#setAttribute(key, value, () => lsetxattr(target, key, value));
      }
    }
    const { atime, mtime } = timesOf(stat);
    utimensat(to, name, atime, mtime, AT_SYMLINK_NOFOLLOW);
  }

  /** Overlay's marks mean nothing outside a layer. */
  #isWanted(name: Bytes): boolean {
    if (this.#options.isStrict && !byteString(name).startsWith("user.")) {
      throw new HostError(`copy layer: "${displayName(byteString(name))}" is not the user's to copy`);
    }
    return this.#options.marks === "keep" || !/^(user|trusted)\.overlay\./.test(byteString(name));
  }

  #setAttribute(name: Bytes, value: Bytes, set: () => void): void {
    if ((this.#left.bytes -= name.length + value.length) < 0) throw tooLarge();
    try {
      set();
    } catch (error) {
      if (this.#options.isStrict || !isErrno(error, EPERM, EOPNOTSUPP)) throw error;
    }
  }

  #uid(stat: Stat): number {
    return this.#options.shift === undefined ? stat.uid : shiftId(this.#options.shift.uid, stat.uid);
  }

  #gid(stat: Stat): number {
    return this.#options.shift === undefined ? stat.gid : shiftId(this.#options.shift.gid, stat.gid);
  }
}

function tooLarge(): HostError {
  return new HostError("copy layer: it is larger than it may be");
}

function isWhiteout(stat: Stat): boolean {
  return (stat.mode & S_IFMT) === S_IFCHR && stat.rdevMajor === 0 && stat.rdevMinor === 0;
}

function isOpaque(fd: number): boolean {
  return OPAQUE_MARKS.some((name) => fgetxattr(fd, name)?.[0] === 0x79);
}

function isExistingFolder(dirfd: number, name: Bytes): boolean {
  try {
    return (statx(dirfd, name, AT_SYMLINK_NOFOLLOW).mode & S_IFMT) === S_IFDIR;
  } catch (error) {
    if (error instanceof SyscallError && error.code === "ENOENT") return false;
    throw error;
  }
}

function timesOf(stat: Stat) {
  return {
    atime: { sec: stat.atimeSec, nsec: stat.atimeNsec },
    mtime: { sec: stat.mtimeSec, nsec: stat.mtimeNsec },
  };
}

function procPath(dirfd: number, name: Bytes): Bytes {
  const prefix = bytesOf(`/proc/self/fd/${dirfd}/`);
  const path = new Uint8Array(prefix.length + name.length);
  path.set(prefix);
  path.set(name, prefix.length);
  return path;
}

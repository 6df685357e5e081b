/**
 * Copies what a folder holds into another, both given by descriptors: owners, modes, times, extended
 * attributes, links, devices. For a volume's or tmpfs's first content.
 */

import { ContentCopier } from "../../ffi/content_copy.ts";
import { EEXIST, ENOENT, EOPNOTSUPP, EPERM, isErrno } from "../../ffi/errno.ts";
import {
  type Dirent,
  fchmod,
  fchownat,
  Fd,
  fstat,
  linkat,
  mkdirat,
  mknodat,
  openat,
  readdir,
  readlinkat,
  type Stat,
  statx,
  symlinkat,
  utimensat,
} from "../../ffi/file.ts";
import { fgetxattr, flistxattr, fsetxattr } from "../../ffi/xattr.ts";
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_WRONLY,
} from "../../ffi/constants/fcntl.ts";
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts";

import type { Owner } from "./in_root.ts";

const OPEN_FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/** Whether a folder has no entry. */
export function isEmptyFolder(fd: number): boolean {
  using own = new Fd(openat(fd, ".", OPEN_FOLDER));
  return readdir(own.number).length === 0;
}

/** Copies the content of `from` to `to`, then gives `to` the owner, mode and times of `from`. */
export function copyTree(from: number, to: number, { mayVanish = false } = {}): void {
  copyFolder({ root: to, links: new Map(), content: new ContentCopier(), mayVanish }, from, to, []);
}

/** Gives `to` the owner, mode and times of `from`, and nothing of what is in it. */
export function copyRoot(from: number, to: number): void {
  using source = new Fd(openat(from, ".", OPEN_FOLDER));
  using target = new Fd(openat(to, ".", OPEN_FOLDER));
  copyAttributes(source.number, target.number, fstat(source.number));
}

/** Copies the content alone: `to` stays as it is. */
export function copyEntries(from: number, to: number): void {
  copyFolderEntries({ root: to, links: new Map(), content: new ContentCopier() }, from, to, []);
}

/** Where a copy has got to. */
interface Copy {
  /** The folder that everything is copied below. */
  root: number;
  /** Files with several names, by device and inode: the first name's place below `root`. */
  links: Map<string, { folder: Uint8Array[]; name: Uint8Array }>;
  content: ContentCopier;
  /** Somebody works in the source: what goes away meanwhile is left out. */
  mayVanish?: boolean;
}

function copyFolder(copy: Copy, from: number, to: number, path: Uint8Array[]): void {
  copyFolderEntries(copy, from, to, path);
  copyRoot(from, to);
}

function copyFolderEntries(copy: Copy, from: number, to: number, path: Uint8Array[]): void {
  using source = new Fd(openat(from, ".", OPEN_FOLDER));
  using target = new Fd(openat(to, ".", OPEN_FOLDER));
  for (const entry of readdir(source.number)) copyEntry(copy, source.number, target.number, path, entry);
}

function copyEntry(copy: Copy, from: number, to: number, path: Uint8Array[], entry: Dirent): void {
  let kind = S_IFREG;
  try {
    const stat = statx(from, entry.name, AT_SYMLINK_NOFOLLOW);
    kind = stat.mode & S_IFMT;
    if (kind === S_IFDIR) {
      mkdirat(to, entry.name, 0o700);
      using source = new Fd(openat(from, entry.name, OPEN_FOLDER));
      using target = new Fd(openat(to, entry.name, OPEN_FOLDER));
      copyFolder(copy, source.number, target.number, [...path, entry.name]);
    } else if (kind === S_IFREG) {
      copyFile(copy, from, to, path, entry.name, stat);
    } else {
      if (kind === S_IFLNK) symlinkat(readlinkat(from, entry.name), to, entry.name);
      else mknodat(to, entry.name, stat.mode, stat.rdevMajor, stat.rdevMinor);
      fchownat(to, entry.name, stat.uid, stat.gid, AT_SYMLINK_NOFOLLOW);
      copyTimes(to, entry.name, stat);
    }
  } catch (error) {
    if (copy.mayVanish && isErrno(error, ENOENT)) return;
    // What is already there is not overwritten; a device cannot be made in a user namespace.
    if (!isErrno(error, EEXIST) && !(isErrno(error, EPERM) && kind !== S_IFREG && kind !== S_IFDIR)) {
      throw error;
    }
  }
}

function copyFile(
  copy: Copy,
  from: number,
  to: number,
  path: Uint8Array[],
  name: Uint8Array,
  stat: Stat,
): void {
  const key = `${stat.devMajor}:${stat.devMinor}:${stat.ino}`;
  const first = stat.nlink > 1 ? copy.links.get(key) : undefined;
  if (first) {
    using folder = new Fd(descend(copy.root, first.folder));
    linkat(folder.number, first.name, to, name);
    return;
  }
  // Should a FIFO have taken its place meanwhile, it is not waited for.
  using source = new Fd(openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  using target = new Fd(openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600));
  copy.content.copy(source.number, target.number, stat);
  copyAttributes(source.number, target.number, stat);
  if (stat.nlink > 1) copy.links.set(key, { folder: path, name });
}

/** Opens a folder below `root` step by step, following no link. */
export function descend(root: number, path: readonly Uint8Array[]): number {
  let at = openat(root, ".", OPEN_FOLDER);
  for (const name of path) {
    using parent = new Fd(at);
    at = openat(parent.number, name, OPEN_FOLDER);
  }
  return at;
}

/**
 * Of an open file or folder, in the order that loses nothing: chown clears modes and capabilities.
 * @param isPlain without the file's capabilities
 */
export function copyAttributes(
  from: number,
  to: number,
  stat: Stat,
  owner: Owner = stat,
  isPlain = false,
): void {
  fchownat(to, "", owner.uid, owner.gid, AT_EMPTY_PATH);
  fchmod(to, stat.mode & 0o7777);
  for (const name of flistxattr(from)) {
    const value = fgetxattr(from, name);
    const text = new TextDecoder().decode(name);
    // Overlay's own marks describe the layer, not the file.
    if (value === undefined || /^(user|trusted)\.overlay\./.test(text)) continue;
    if (isPlain && text === "security.capability") continue;
    try {
      fsetxattr(to, name, value);
    } catch (error) {
      if (!isErrno(error, EPERM, EOPNOTSUPP)) throw error;
    }
  }
  copyTimes(to, "", stat);
}

export function copyTimes(dirfd: number, name: Uint8Array | string, stat: Stat): void {
  const atime = { sec: stat.atimeSec, nsec: stat.atimeNsec };
  const mtime = { sec: stat.mtimeSec, nsec: stat.mtimeNsec };
  utimensat(dirfd, name, atime, mtime, name.length === 0 ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW);
}

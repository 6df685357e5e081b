/** Removes a tree by descriptors, so that no link in it can lead elsewhere, however deep it is. */

import { close, lseek, openat, readdir, renameat2, statx, unlinkat } from "../../ffi/file.ts";
import {
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
} from "../../ffi/constants/fcntl.ts";
import { EACCES, EISDIR, ENOENT, EPERM, isErrno } from "../../ffi/errno.ts";
import { S_IFDIR, S_IFMT } from "../../ffi/constants/stat.ts";

type Name = string | Uint8Array;

/** Folders nested deeper than this are first moved up, so that open descriptors stay few. */
const MAX_DEPTH = 64;

/**
 * Removes `name` in `dirfd` with all below it; nothing where it is missing. Does not cross into what a link
 * points at. Synchronous: for forked children, which may remove what other ids of the user own.
 */
export function removeTree(dirfd: number, name: Name): void {
  if (removeFile(dirfd, name)) return;
  const top = openFolder(dirfd, name);
  if (top === null) return;
  try {
    let moved = 0;
    const moveUp = (from: number, entry: Name) => {
      renameat2(from, entry, top, `.skiff-removed-${moved++}-${crypto.randomUUID()}`, 0);
    };
    // What was moved up is found by the next round.
    do {
      moved = 0;
      empty(top, 1, moveUp);
    } while (moved > 0);
  } finally {
    close(top);
  }
  removeFolder(dirfd, name);
}

function empty(fd: number, depth: number, moveUp: (from: number, entry: Name) => void): void {
  lseek(fd, 0, 0); // A second round begins anew.
  for (const { name } of listFolder(fd)) {
    if (removeFile(fd, name)) continue;
    if (depth >= MAX_DEPTH) {
      moveUp(fd, name);
      continue;
    }
    const child = openFolder(fd, name);
    if (child === null) continue;
    try {
      empty(child, depth + 1, moveUp);
    } finally {
      close(child);
    }
    removeFolder(fd, name);
  }
}

/** Nothing where another command has removed the folder meanwhile: getdents64(2) then gives ENOENT. */
function listFolder(fd: number): ReturnType<typeof readdir> {
  try {
    return readdir(fd);
  } catch (error) {
    if (isErrno(error, ENOENT)) return [];
    throw error;
  }
}

/** Of two commands that remove the same tree one comes second, which is as good. */
function removeFolder(dirfd: number, name: Name): void {
  try {
    unlinkat(dirfd, name, AT_REMOVEDIR);
  } catch (error) {
    if (!isErrno(error, ENOENT)) throw error;
  }
}

/** Whether `name` was no folder and is gone. */
function removeFile(dirfd: number, name: Name): boolean {
  try {
    unlinkat(dirfd, name);
    return true;
  } catch (error) {
    if (isErrno(error, ENOENT)) return true;
    // EISDIR says so; EPERM is what POSIX asks for, and what an immutable file gives.
    if (isErrno(error, EISDIR)) return false;
    if (isErrno(error, EPERM) && isFolder(dirfd, name)) return false;
    throw error;
  }
}

function isFolder(dirfd: number, name: Name): boolean {
  try {
    return (statx(dirfd, name, AT_SYMLINK_NOFOLLOW).mode & S_IFMT) === S_IFDIR;
  } catch (error) {
    // what is gone meanwhile, the caller finds out as well
    if (isErrno(error, ENOENT)) return true;
    throw error;
  }
}

function openFolder(dirfd: number, name: Name): number | null {
  const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  try {
    return openat(dirfd, name, flags);
  } catch (error) {
    if (isErrno(error, ENOENT)) return null;
    if (!isErrno(error, EACCES)) throw error;
    try {
      if (!openPermissions(dirfd, name)) throw error;
      return openat(dirfd, name, flags);
    } catch (second) {
      if (isErrno(second, ENOENT)) return null;
      throw second;
    }
  }
}

/** A folder of ours without permissions is ours to change. Opened as a path first, so no link is followed. */
function openPermissions(dirfd: number, name: Name): boolean {
  const path = openat(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  try {
    Deno.chmodSync(`/proc/self/fd/${path}`, 0o700);
    return true;
  } catch {
    return false; // another id's
  } finally {
    close(path);
  }
}

/**
 * A tree in the making: built in a locked work folder beside its final name, and renamed when it is whole.
 *
 * ```
 * layers/<diff-id hex>/<form>.tmp-<random>/   held locked while its maker lives
 *   tree/      becomes layers/<diff-id hex>/<form>
 * ```
 */

import { EAGAIN, EEXIST, ENOENT, ENOTEMPTY, isErrno } from "../../ffi/errno.ts";
import {
  close,
  fchmod,
  fchownat,
  Fd,
  flock,
  fsync,
  mkdirat,
  open,
  openat,
  renameat2,
  statx,
  syncfs,
  unlinkat,
  writeAll,
} from "../../ffi/file.ts";
import { getpid } from "../../ffi/process.ts";
import { lremovexattr } from "../../ffi/xattr.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  LOCK_EX,
  LOCK_NB,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  RENAME_NOREPLACE,
} from "../../ffi/constants/fcntl.ts";
import { DEFAULT_ACL } from "./entry_metadata.ts";
import { bytesFile, ownersFile } from "./layers.ts";
import { readBootId } from "../state/boot.ts";
import { spreadFolders } from "../state/spread.ts";
import { removeTree } from "./remove_tree.ts";
import { isSuspect, unsyncedMark } from "./unsynced.ts";

/** The layer's folder and a work folder in it. */
export function openWork(
  layerDir: string,
  form: string,
): { layerFd: number; work: { fd: number; name: string } } {
  for (;;) {
    let layerFd = -1;
    try {
      layerFd = openLayerFolder(layerDir);
      return { layerFd, work: makeWorkFolder(layerFd, `${form}.tmp-`) };
    } catch (error) {
      if (layerFd !== -1) close(layerFd);
      // Another child that failed has removed the empty folder in between.
      if (!isErrno(error, ENOENT)) throw error;
    }
  }
}

function openLayerFolder(layerDir: string): number {
  try {
    mkdirat(AT_FDCWD, layerDir, 0o700);
  } catch (error) {
    if (!isErrno(error, EEXIST)) throw error;
  }
  return open(layerDir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/** Removes the work folder, and the layer's own where nothing else is in it. */
export function tidy(layerDir: string, layerFd: number, workName: string): void {
  try {
    removeTree(layerFd, workName);
    unlinkat(AT_FDCWD, layerDir, AT_REMOVEDIR);
  } catch {
    // Not empty: other forms, other children at work. What cannot be removed now, a later command removes.
  }
}

/** A folder that only its maker uses; its lock tells the living from the left behind. */
export function makeWorkFolder(parentFd: number, prefix: string): { fd: number; name: string } {
  spreadFolders(parentFd);
  for (;;) {
    // a forked child draws the same random numbers as its parent does next
    const name = `${prefix}${getpid()}-${crypto.randomUUID()}`;
    mkdirat(parentFd, name, 0o700);
    try {
      const fd = openat(parentFd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      flock(fd, LOCK_EX | LOCK_NB);
      // Somebody who tidies up may have been faster than the lock.
      if (statx(parentFd, name, AT_SYMLINK_NOFOLLOW).ino === statx(fd, "", AT_EMPTY_PATH).ino) {
        return { fd, name };
      }
      close(fd);
    } catch (error) {
      if (!isErrno(error, ENOENT, EAGAIN)) throw error;
    }
  }
}

/** The root of a tree: 0:0 (or `owner`), 0755, whatever the folders above would make it inherit. */
export function makeTree(workFd: number, owner = { uid: 0, gid: 0 }): number {
  mkdirat(workFd, "tree", 0o755);
  const fd = openat(workFd, "tree", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  fchownat(fd, "", owner.uid, owner.gid, AT_EMPTY_PATH);
  fchmod(fd, 0o755);
  for (const acl of [DEFAULT_ACL, "system.posix_acl_access"]) lremovexattr(`/proc/self/fd/${fd}/.`, acl);
  return fd;
}

/** Gives the tree its name; where another child was faster, its tree is as good. */
export function publish(workFd: number, layerFd: number, form: string): void {
  try {
    renameat2(workFd, "tree", layerFd, form, RENAME_NOREPLACE);
  } catch (error) {
    if (!isErrno(error, EEXIST, ENOTEMPTY)) throw error;
  }
  fsync(layerFd);
}

/**
 * The same for a tree that is not synced: its mark is on the disk before the name is. A tree that a crash made
 * suspect goes out of the way, into the work folder.
 */
export function publishUnsynced(workFd: number, layerFd: number, form: string): void {
  const path = `/proc/self/fd/${layerFd}/${form}`;
  if (isSuspect(path)) renameat2(layerFd, form, workFd, "suspect");
  else if (isThere(layerFd, form)) return;
  const mark = openat(workFd, "unsynced", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600);
  writeAll(mark, new TextEncoder().encode(readBootId()));
  fsync(mark);
  close(mark);
  renameat2(workFd, "unsynced", layerFd, unsyncedMark(form));
  publish(workFd, layerFd, form);
}

/** Whether the layer is there, and no crash has made it suspect. */
export function isPublished(layerDir: string, form: string): boolean {
  const path = `${layerDir}/${form}`;
  return isThere(AT_FDCWD, path) && !isSuspect(path);
}

/** The same for a tree that is synced; the mark of one that a crash made suspect goes with it. */
function publishSynced(workFd: number, layerFd: number, form: string): void {
  const wasSuspect = isSuspect(`/proc/self/fd/${layerFd}/${form}`);
  if (wasSuspect) renameat2(layerFd, form, workFd, "suspect");
  publish(workFd, layerFd, form);
  if (wasSuspect) unlinkat(layerFd, unsyncedMark(form));
}

/** A whole layer, with what is told beside it: the size of its archive, and who should own what (`owners`, where there is). */
export function publishLayer(
  workFd: number,
  layerFd: number,
  form: string,
  { bytes, hasOwners, isSynced }: { bytes: number; hasOwners: boolean; isSynced?: boolean },
): void {
  const bytesFd = openat(workFd, "bytes", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600);
  writeAll(bytesFd, new TextEncoder().encode(String(bytes)));
  if (isSynced) fsync(bytesFd);
  close(bytesFd);
  renameat2(workFd, "bytes", layerFd, bytesFile(form));
  if (hasOwners) renameat2(workFd, "owners", layerFd, ownersFile(form));
  if (isSynced) publishSynced(workFd, layerFd, form);
  else publishUnsynced(workFd, layerFd, form);
}

/** The same out of a work folder that is elsewhere. */
export function publishLayerFrom(
  workFd: number,
  layerDir: string,
  form: string,
  about: Parameters<typeof publishLayer>[3],
): void {
  for (;;) {
    try {
      using layer = new Fd(openLayerFolder(layerDir));
      return publishLayer(workFd, layer.number, form, about);
    } catch (error) {
      // the folder went as above; nothing is in it yet
      if (!isErrno(error, ENOENT) || !isThere(workFd, "tree")) throw error;
    }
  }
}

/** Waits until the layer is on the disk, and takes its mark away. */
export function syncPublished(layerFd: number, form: string): void {
  syncfs(layerFd);
  unlinkat(layerFd, unsyncedMark(form));
}

/** After the result was sent, so that nobody waits for the disk. A failure leaves the mark, which is enough. */
export function syncLayer(layerDir: string, form: string): void {
  try {
    using layer = new Fd(open(layerDir, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    syncPublished(layer.number, form);
  } catch {
    // Another child of the same layer has taken the mark away, or the layer is removed already.
  }
}

function isThere(dirfd: number, name: string): boolean {
  try {
    statx(dirfd, name, AT_SYMLINK_NOFOLLOW);
    return true;
  } catch (error) {
    if (isErrno(error, ENOENT)) return false;
    throw error;
  }
}

/**
 * Hides or write-protects kernel files that a container must not reach.
 *
 * Each path is opened once, by descriptor and inside the root; what covers it is a device proven to be
 * /dev/null or an empty read-only tmpfs (CVE-2025-31133). Descriptors stay open, as in `attachMounts`.
 *
 * @see OCI runtime-spec config-linux.md, masked paths, readonly paths
 */

import { EINVAL, isErrno } from "../../ffi/errno.ts";
import { fstat } from "../../ffi/file.ts";
import { filesystemType, mount_setattr } from "../../ffi/mount.ts";
import { AT_EMPTY_PATH, AT_RECURSIVE, O_PATH } from "../../ffi/constants/fcntl.ts";
import {
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  PROC_SUPER_MAGIC,
  SYSFS_MAGIC,
} from "../../ffi/constants/mount.ts";
import { S_IFDIR, S_IFMT } from "../../ffi/constants/stat.ts";
import { SkiffError } from "../errors.ts";
import { attach, cloneMount, newFilesystem } from "../rootfs/detached_mount.ts";
import { tryOpenInRoot } from "../rootfs/in_root.ts";

/** /proc/keys, /proc/timer_list and /proc/kcore or the like. */
const USUAL_FILES = 3;

/**
 * Covers each path: a folder with an empty tmpfs, a file with what `openNullDevice` makes.
 * What is in `covers` is used first. `views` are folders that show the caller's own /proc or /sys: what hides a part there hides it here.
 */
export function maskPaths(
  root: number,
  paths: readonly string[],
  openNullDevice: () => number,
  views: readonly string[] = [],
  covers?: PreparedCovers,
): void {
  let empty: number | undefined;
  for (const path of paths) {
    const found = tryOpenInRoot(root, path, O_PATH);
    if (found === undefined) continue;
    checkGenuine(found, path, views);
    const isFolder = (fstat(found).mode & S_IFMT) === S_IFDIR;
    if (!isFolder) attach(covers?.devices.pop() ?? openNullDevice(), found);
    else if (empty === undefined) attach(empty = covers?.folder ?? emptyFolder(), found);
    else attach(cloneMount("", false, empty), found);
  }
}

/** Covers that are made before it is known what they cover. */
export interface PreparedCovers {
  devices: number[];
  folder: number;
}

/** Most containers have so many files masked, and folders. */
export function prepareCovers(openNullDevice: () => number): PreparedCovers {
  return { devices: Array.from({ length: USUAL_FILES }, openNullDevice), folder: emptyFolder() };
}

/** Makes each path, and what is mounted below it, read-only. */
export function protectPaths(root: number, paths: readonly string[], views: readonly string[] = []): void {
  for (const path of paths) {
    const found = tryOpenInRoot(root, path, O_PATH);
    if (found === undefined) continue;
    checkGenuine(found, path, views);
    const clone = cloneRecursive(found);
    mount_setattr(clone, "", AT_EMPTY_PATH | AT_RECURSIVE, { set: MOUNT_ATTR_RDONLY, clear: 0 });
    attach(clone, found);
  }
}

function cloneRecursive(fd: number): number {
  try {
    return cloneMount("", true, fd);
  } catch (error) {
    if (!isErrno(error, EINVAL)) throw error;
    return cloneMount("", false, fd);
  }
}

/** A mask below /proc or /sys that lands elsewhere would protect nothing (CVE-2025-52881). */
function checkGenuine(fd: number, path: string, views: readonly string[]): void {
  if (views.some((folder) => path.startsWith(`${folder}/`))) return;
  const expected = path.startsWith("/proc/")
    ? PROC_SUPER_MAGIC
    : path.startsWith("/sys/") && !path.startsWith("/sys/fs/")
    ? SYSFS_MAGIC
    : undefined;
  if (expected === undefined || filesystemType(fd) === expected) return;
  throw new SkiffError(`protect ${path}: it is not on the kernel's own file system`);
}

function emptyFolder(): number {
  const attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  return newFilesystem("tmpfs", "tmpfs", ["mode=0555", "nr_inodes=1"], attributes);
}

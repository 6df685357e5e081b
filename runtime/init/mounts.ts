/**
 * The mounts of a container, in two steps: all are prepared detached while the host's paths are still
 * there, then each is attached at a place inside the root that a descriptor holds.
 */

import { EACCES, EINVAL, EPERM, EROFS, isErrno } from "../../ffi/errno.ts";
import { close, faccessat, fchownat, Fd, fstat, lstat, open, readlinkat } from "../../ffi/file.ts";
import { mount_setattr } from "../../ffi/mount.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  F_OK,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
} from "../../ffi/constants/fcntl.ts";
import { MOUNT_ATTR__ATIME, MOUNT_ATTR_RDONLY } from "../../ffi/constants/mount.ts";
import { S_IFDIR, S_IFLNK, S_IFMT } from "../../ffi/constants/stat.ts";
import { SkiffError } from "../errors.ts";
import { copyEntries, copyRoot, copyTree, isEmptyFolder } from "../rootfs/copy_tree.ts";
import { attach, cloneMount, configureBind, newFilesystem } from "../rootfs/detached_mount.ts";
import {
  ensureFileInRoot,
  ensureFolderInRoot,
  makeLinkInRoot,
  openInRoot,
  type Owner,
  tryOpenInRoot,
} from "../rootfs/in_root.ts";
import { type MountWords, parseMountWords } from "../rootfs/mount_words.ts";
import { newTypedFilesystem } from "../rootfs/typed_filesystem.ts";
import type { FileContent, MountSpec } from "../spec/runtime.ts";
import { prepareContent } from "./content_mount.ts";

/** A complete mount without a place. */
export interface PreparedMount {
  fd: number;
  destination: string;
  isFolder: boolean;
  copyUp: boolean;
  isReadOnly: boolean;
  mayBeMissing: boolean;
  needsFolder: boolean;
  type: string;
  /** The caller's own /proc or /sys, with whatever hides parts of it already. */
  isView: boolean;
  /** Instead of a mount: the link that is made, and `fd` is -1. */
  link?: Uint8Array<ArrayBuffer>;
  /** It is made when its turn comes: the container's root, which init is by then, owns it. Until then `fd` is -1. */
  make?: () => number;
}

/** Makes every mount of the spec, detached. Where one fails, its destination is named. */
export function prepareMounts(mounts: readonly MountSpec[]): PreparedMount[] {
  return mounts.map((spec) => {
    const words = parseMountWords(spec.options);
    try {
      const isBind = words.isBind || spec.type === "bind";
      const link = words.keepsLink ? readLink(spec.source) : undefined;
      if (link !== undefined) return keptLink(spec, link);
      if (spec.type === "ramfs") return ramfsLater(spec, words);
      if (spec.content !== undefined) return contentLater(spec, spec.content, words);
      let isView = isBind && (spec.source === "/proc" || spec.source === "/sys");
      const fd = isBind ? prepareBind(spec, words) : prepareFilesystem(spec, words, () => isView = true);
      const isFolder = !isBind || (fstat(fd).mode & S_IFMT) === S_IFDIR;
      const { copyUp, mayBeMissing, needsFolder } = words;
      const { destination, type } = spec;
      const isReadOnly = (words.set & MOUNT_ATTR_RDONLY) !== 0;
      return { fd, destination, isFolder, copyUp, isReadOnly, mayBeMissing, needsFolder, type, isView };
    } catch (error) {
      throw new SkiffError(`mount ${spec.source} to ${spec.destination}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  });
}

/** undefined where it is no link. */
function readLink(path: string): Uint8Array<ArrayBuffer> | undefined {
  return (lstat(path).mode & S_IFMT) === S_IFLNK ? readlinkat(AT_FDCWD, path) : undefined;
}

function ramfsLater(spec: MountSpec, words: MountWords): PreparedMount {
  return { ...madeLater(spec, words), isFolder: true, make: () => prepareFilesystem(spec, words, () => {}) };
}

/** Its owners are the container's, and what makes it may have no number there. */
function contentLater(spec: MountSpec, content: FileContent, words: MountWords): PreparedMount {
  return { ...madeLater(spec, words), isFolder: false, make: () => prepareContent(content, words) };
}

function madeLater({ destination, type }: MountSpec, words: MountWords): Omit<PreparedMount, "isFolder"> {
  const { copyUp, mayBeMissing, needsFolder } = words;
  const isReadOnly = (words.set & MOUNT_ATTR_RDONLY) !== 0;
  return { fd: -1, destination, type, copyUp, isReadOnly, mayBeMissing, needsFolder, isView: false };
}

function keptLink({ destination, type }: MountSpec, link: Uint8Array<ArrayBuffer>): PreparedMount {
  const nothing = {
    copyUp: false,
    isReadOnly: false,
    mayBeMissing: false,
    needsFolder: false,
    isView: false,
  };
  return { fd: -1, destination, type, isFolder: false, ...nothing, link };
}

function prepareBind(spec: MountSpec, words: MountWords): number {
  const fd = spec.subpath === undefined
    ? cloneMount(spec.source, words.isRecursive)
    : cloneMount("", words.isRecursive, openSource(spec));
  try {
    configureBind(fd, words);
  } catch (error) {
    if (!isErrno(error, EPERM) || (words.set & MOUNT_ATTR__ATIME) === 0) throw error;
    throw new SkiffError("how access times are kept is for root alone to change", { cause: error });
  }
  return fd;
}

/** What a mount shows: with a subpath resolved inside the source, since a container may have written there. */
export function openSource({ source, subpath }: { source: string; subpath?: string }): number {
  const folder = open(source, O_PATH | O_CLOEXEC);
  if (subpath === undefined) return folder;
  using root = new Fd(folder);
  return openInRoot(root.number, subpath, O_PATH);
}

/** `onView` is told where the caller's own file system stands in for a fresh one. */
function prepareFilesystem(spec: MountSpec, words: MountWords, onView: () => void): number {
  const view = (make: () => number) => () => {
    onView();
    return make();
  };
  switch (spec.type) {
    case "proc":
      return withFallback(
        () => newFilesystem("proc", spec.source, words.data, words.set),
        // Inside another container parts of /proc are hidden, and no other procfs may show them: its view is used,
        // with its masks.
        view(() => boundView("/proc")),
      );
    case "tmpfs":
      // what the image's content is copied to becomes read-only afterwards
      return newFilesystem(
        spec.type,
        spec.source,
        words.data,
        words.copyUp ? words.set & ~MOUNT_ATTR_RDONLY : words.set,
      );
    case "ramfs":
      // it belongs to who makes it, and has no options but a mode
      return newFilesystem(
        spec.type,
        spec.source,
        words.data.filter((word) => word.startsWith("mode=")),
        words.copyUp ? words.set & ~MOUNT_ATTR_RDONLY : words.set,
      );
    case "mqueue":
      return newFilesystem(spec.type, spec.source, words.data, words.set);
    case "sysfs":
      return withFallback(
        () => newFilesystem("sysfs", spec.source, words.data, words.set),
        // Only who owns the network namespace may mount sysfs; the host's is shown instead.
        view(() => readOnlyView("/sys")),
      );
    case "devpts":
      return withFallback(
        () => newFilesystem("devpts", spec.source, words.data, words.set),
        // Group 5 (tty) may not be mapped.
        () =>
          newFilesystem(
            "devpts",
            spec.source,
            words.data.filter((word) => !word.startsWith("gid=")),
            words.set,
          ),
      );
    case "cgroup":
    case "cgroup2":
      return isUnifiedCgroup()
        ? withFallback(
          () => newFilesystem("cgroup2", spec.source, [], words.set),
          () => readOnlyView("/sys/fs/cgroup"),
        )
        : readOnlyView("/sys/fs/cgroup");
  }
  // what a volume is made of, for who looks at the files of a container that does not run
  return newTypedFilesystem(spec.type, spec.source, words.data, words.set);
}

function isUnifiedCgroup(): boolean {
  return faccessat(AT_FDCWD, "/sys/fs/cgroup/cgroup.controllers", F_OK);
}

/** A copy of the host's mounts at `path`. */
function boundView(path: string): number {
  const fd = cloneMount(path, true);
  configureBind(fd, parseMountWords(["rbind", "nosuid", "nodev", "noexec"]));
  return fd;
}

/** The same that cannot be written, whatever is mounted below. */
function readOnlyView(path: string): number {
  const fd = boundView(path);
  mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, { set: MOUNT_ATTR_RDONLY, clear: 0 });
  return fd;
}

function withFallback(first: () => number, second: () => number): number {
  try {
    return first();
  } catch (error) {
    if (!isErrno(error, EPERM, EINVAL)) throw error;
    return second();
  }
}

/**
 * Puts the mounts in place, in order, making mount points that the image lacks.
 *
 * What it opens stays open: init closes everything at once when the root has changed, since a hundred calls
 * of close(2) are a millisecond.
 */
export function attachMounts(root: number, mounts: readonly PreparedMount[]): void {
  for (const prepared of mounts) {
    if (prepared.needsFolder && !hasFolderFor(root, prepared.destination)) continue;
    try {
      if (prepared.link !== undefined) {
        makeLinkInRoot(root, prepared.destination, prepared.link);
        continue;
      }
      if (prepared.make) prepared.fd = prepared.make();
      const target = prepared.isFolder
        ? ensureFolderInRoot(root, prepared.destination)
        : ensureFileInRoot(root, prepared.destination);
      if (prepared.copyUp) fillTmpfs(target, prepared);
      attach(prepared.fd, target);
    } catch (error) {
      if (prepared.mayBeMissing && isErrno(error, EACCES, EPERM, EROFS)) continue;
      throw new SkiffError(`mount ${prepared.destination}: ${(error as Error).message}`, { cause: error });
    }
  }
}

function hasFolderFor(root: number, destination: string): boolean {
  const folder = destination.slice(0, destination.lastIndexOf("/"));
  return tryOpenInRoot(root, folder, O_PATH | O_DIRECTORY) !== undefined;
}

/** As crun: the files of the image's folder, but not that folder's own owner and mode. */
function fillTmpfs(folder: number, { fd, isReadOnly }: PreparedMount): void {
  copyEntries(folder, fd);
  if (isReadOnly) mount_setattr(fd, "", AT_EMPTY_PATH, { set: MOUNT_ATTR_RDONLY, clear: 0 });
}

/**
 * Copies the image's folder at `destination`, or its owner, mode and times alone, to the new volume `fd`; false where the
 * image has none.
 */
export function copyUpVolume(
  root: number,
  { fd, destination, ownerOnly }: { fd: number; destination: string; ownerOnly?: boolean },
): boolean {
  const from = tryOpenInRoot(root, destination, O_PATH | O_DIRECTORY);
  if (from === undefined) return false;
  using folder = new Fd(from);
  try {
    // a file system that another container uses as well may have content that the command did not see
    if (!isEmptyFolder(fd)) return true;
    if (ownerOnly) copyRoot(folder.number, fd);
    else copyTree(folder.number, fd);
  } catch (error) {
    // it was made with `o=ro`, or its server has it so
    if (!isErrno(error, EROFS)) throw error;
  }
  return true;
}

/**
 * Gives new volumes that the image says nothing about to the program's user, as podman does, and closes them. What has
 * content already, as a file system of its own may have, keeps its owner.
 */
export function giveVolumes(volumes: readonly number[], owner: Owner): void {
  for (const volume of volumes) {
    try {
      if (isEmptyFolder(volume)) fchownat(volume, "", owner.uid, owner.gid, AT_EMPTY_PATH);
    } catch (error) {
      // with a single-id map there is nobody else to give it to; what is read-only stays as it is
      if (!isErrno(error, EINVAL, EPERM, EROFS)) throw error;
    }
    close(volume);
  }
}

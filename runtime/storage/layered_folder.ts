/**
 * Layers seen through each other without a mount: what their folders show under a name, read by descriptors.
 * Synchronous, for forked children.
 *
 * @see Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories"
 */

import { bytesOf, byteString } from "../archive/byte_string.ts";
import { EACCES, ENOENT, ENOTDIR, isErrno } from "../../ffi/errno.ts";
import { accessErrno, Fd, openat, readdir, readlinkat, type Stat, statx } from "../../ffi/file.ts";
import { fgetxattr } from "../../ffi/xattr.ts";
import {
  AT_SYMLINK_NOFOLLOW,
  F_OK,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
} from "../../ffi/constants/fcntl.ts";
import { S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT } from "../../ffi/constants/stat.ts";

/** The same folder in one of several layers, of which 0 is the topmost. */
export interface LayerFolder {
  fd: number;
  layer: number;
}

export const OPEN_FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

const OPAQUE_MARKS = ["user.overlay.opaque", "trusted.overlay.opaque", "user.fuseoverlayfs.opaque"];

/** What the layers show under a name, and which of them: the topmost that knows it decides. */
export function findInLayers(
  folders: readonly LayerFolder[],
  name: string,
): { stat: Stat; layer: number } | undefined {
  for (const { fd, layer } of folders) {
    const stat = statOf(fd, name);
    if (stat !== undefined) return isWhiteout(stat) ? undefined : { stat, layer };
  }
}

/** The folders of that name which are seen through each other. */
export function openInLayers(
  folders: readonly LayerFolder[],
  name: string,
  opened: DisposableStack,
): LayerFolder[] {
  const found: LayerFolder[] = [];
  for (const { fd: parent, layer } of folders) {
    const stat = statOf(parent, name);
    if (stat === undefined) continue;
    if (!isFolder(stat)) break;
    const fd = opened.use(new Fd(openat(parent, bytesOf(name), OPEN_FOLDER))).number;
    found.push({ fd, layer });
    if (isOpaque(fd)) break;
  }
  return found;
}

/** More links than this are a loop. @see path_resolution(7) */
const MAX_LINKS = 40;

/**
 * Where an absolute path (a byte string) leads within the layers, links followed: from the first name that is not there
 * on it stays as it is.
 */
export function resolveInLayers(roots: readonly LayerFolder[], path: string): string {
  using opened = new DisposableStack();
  let todo = path.split("/").filter((name) => name !== "");
  /** The folders on the way, the root's first. */
  let way: { name: string; folders: readonly LayerFolder[] }[] = [];
  for (let links = 0; todo.length > 0;) {
    const [name, ...rest] = todo;
    todo = rest;
    if (name === ".") continue;
    if (name === "..") {
      way.pop();
      continue;
    }
    const folders = way.at(-1)?.folders ?? roots;
    const found = findInLayers(folders, name!);
    if (found === undefined || (!isFolder(found.stat) && (found.stat.mode & S_IFMT) !== S_IFLNK)) {
      return ["", ...way.map((one) => one.name), name, ...rest].join("/");
    }
    if (isFolder(found.stat)) {
      way.push({ name: name!, folders: openInLayers(folders, name!, opened) });
      continue;
    }
    if (++links > MAX_LINKS) return path;
    const { fd } = folders.find(({ layer }) => layer === found.layer)!;
    const target = byteString(readlinkat(fd, bytesOf(name!)));
    if (target.startsWith("/")) way = [];
    todo = [...target.split("/").filter((part) => part !== ""), ...rest];
  }
  return way.map((one) => `/${one.name}`).join("") || "/";
}

export function namesInLayers(folders: readonly LayerFolder[]): Set<string> {
  return new Set(folders.flatMap(({ fd }) => readdir(fd).map(({ name }) => byteString(name))));
}

/** Whether a folder of a layer hides those below. fuse-overlayfs may say it by a file. */
export function isOpaque(fd: number): boolean {
  return OPAQUE_MARKS.some((mark) => fgetxattr(fd, mark)?.[0] === 0x79) ||
    statOf(fd, ".wh..wh..opq") !== undefined;
}

export function statOf(folder: number, name: string): Stat | undefined {
  const raw = bytesOf(name);
  // most are not there, and an exception for each would take longer than all the rest
  const failed = accessErrno(folder, raw, F_OK, AT_SYMLINK_NOFOLLOW);
  // in a folder that is closed to the user it may be there: that is thrown
  if (failed !== 0 && failed !== EACCES) return undefined;
  try {
    return statx(folder, raw, AT_SYMLINK_NOFOLLOW);
  } catch (error) {
    if (isErrno(error, ENOENT, ENOTDIR)) return undefined;
    throw error;
  }
}

export function isFolder(stat: Stat): boolean {
  return (stat.mode & S_IFMT) === S_IFDIR;
}

export function isWhiteout(stat: Stat): boolean {
  return (stat.mode & S_IFMT) === S_IFCHR && stat.rdevMajor === 0 && stat.rdevMinor === 0;
}

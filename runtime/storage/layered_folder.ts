/**
 * Layers seen through each other without a mount: what their folders show under a name, read by descriptors.
 * Synchronous, for forked children.
 *
 * @see Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories"
 */

import { bytesOf, byteString } from "../archive/byte_string.ts";
import { EACCES, ENOENT, ENOTDIR, isErrno } from "../../ffi/errno.ts";
import { accessErrno, Fd, openat, readdir, readlinkat, type Stat, statx } from "../../ffi/file.ts";
import { fgetxattr, flistxattr } from "../../ffi/xattr.ts";
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

const OPAQUE_MARKS = new Set(["user.overlay.opaque", "trusted.overlay.opaque", "user.fuseoverlayfs.opaque"]);

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

/**
 * The folders of that name which are seen through each other.
 *
 * @param topmost the layer that has the first of them, where it is known
 */
export function openInLayers(
  folders: readonly LayerFolder[],
  name: string,
  opened: DisposableStack,
  topmost?: number,
): LayerFolder[] {
  const found: LayerFolder[] = [];
  for (const { fd: parent, layer } of folders) {
    if (layer < (topmost ?? 0)) continue;
    const stat = layer === topmost ? undefined : statOf(parent, name);
    if (stat === undefined && layer !== topmost) continue;
    if (stat !== undefined && !isFolder(stat)) break;
    const fd = opened.use(new Fd(openat(parent, bytesOf(name), OPEN_FOLDER))).number;
    found.push({ fd, layer });
    if (isOpaque(fd)) break;
  }
  return found;
}

/** More links than this are a loop. @see path_resolution(7) */
const MAX_LINKS = 40;

/** A folder that layers show, and what was found in it. */
interface Place {
  name: string;
  folders: readonly LayerFolder[];
  /** By name: a folder, the target of a link, or null for what is not there or neither. */
  known: Map<string, Place | string | null>;
}

/** Finds where paths lead within layers; each folder on their ways is looked at once. */
export class LayerPaths implements Disposable {
  readonly #opened = new DisposableStack();
  readonly #root: Place;

  /** @param roots stay the caller's, and open until this is disposed of */
  constructor(roots: readonly LayerFolder[]) {
    this.#root = { name: "", folders: roots, known: new Map() };
  }

  [Symbol.dispose](): void {
    this.#opened.dispose();
  }

  /**
   * Where an absolute path (a byte string) leads, links followed: from the first name that is not there on it stays as
   * it is.
   */
  resolve(path: string): string {
    let todo = namesOf(path);
    /** The folders on the way, the root's first. */
    let way: Place[] = [];
    for (let links = 0; todo.length > 0;) {
      const [name, ...rest] = todo;
      todo = rest;
      if (name === ".") continue;
      if (name === "..") {
        way.pop();
        continue;
      }
      const found = this.#lookUp(way.at(-1) ?? this.#root, name!);
      if (found === null) return ["", ...way.map((one) => one.name), name, ...rest].join("/");
      if (typeof found !== "string") {
        way.push(found);
        continue;
      }
      if (++links > MAX_LINKS) return path;
      if (found.startsWith("/")) way = [];
      todo = [...namesOf(found), ...rest];
    }
    return way.map((one) => `/${one.name}`).join("") || "/";
  }

  #lookUp({ folders, known }: Place, name: string): Place | string | null {
    const before = known.get(name);
    if (before !== undefined) return before;
    const found = findInLayers(folders, name);
    const result = found === undefined
      ? null
      : isFolder(found.stat)
      ? { name, folders: openInLayers(folders, name, this.#opened, found.layer), known: new Map() }
      : (found.stat.mode & S_IFMT) === S_IFLNK
      ? byteString(readlinkat(folders.find(({ layer }) => layer === found.layer)!.fd, bytesOf(name)))
      : null;
    known.set(name, result);
    return result;
  }
}

function namesOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "");
}

export function namesInLayers(folders: readonly LayerFolder[]): Set<string> {
  return new Set(folders.flatMap(({ fd }) => readdir(fd).map(({ name }) => byteString(name))));
}

/** Whether a folder of a layer hides those below. fuse-overlayfs may say it by a file. */
export function isOpaque(fd: number): boolean {
  // most folders have no attribute at all
  return flistxattr(fd).some((name) =>
    OPAQUE_MARKS.has(byteString(name)) && fgetxattr(fd, name)?.[0] === 0x79
  ) ||
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

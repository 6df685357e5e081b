/**
 * Paths inside a root filesystem, resolved by the kernel so that no link leads out of it.
 *
 * Nothing here takes a path as a string of the host: every step starts from the descriptor of the root.
 *
 * @see openat2(2), RESOLVE_IN_ROOT
 */

import { EEXIST, ENOTDIR, isErrno } from "../../ffi/errno.ts";
import {
  close,
  fchownat,
  Fd,
  fstat,
  mkdirat,
  openat,
  openat2,
  readlinkat,
  statx,
  symlinkat,
  tryOpenat2,
} from "../../ffi/file.ts";
import {
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_WRONLY,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
} from "../../ffi/constants/fcntl.ts";
import { S_IFDIR, S_IFLNK, S_IFMT } from "../../ffi/constants/stat.ts";
import { SkiffError } from "../errors.ts";

const RESOLVE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;

/** Opens what `path` names inside the root, following links inside it. */
export function openInRoot(root: number, path: string, flags: number, mode = 0): number {
  return openat2(root, belowRoot(path), flags | O_CLOEXEC, RESOLVE, mode);
}

/** As `openInRoot`, or undefined where nothing is there. */
export function tryOpenInRoot(root: number, path: string, flags: number): number | undefined {
  return tryOpenat2(root, belowRoot(path), flags | O_CLOEXEC, RESOLVE);
}

/** As openat2(2) takes it, without the slashes before it. */
function belowRoot(path: string): string {
  let at = 0;
  while (path[at] === "/") at++;
  return path.slice(at) || ".";
}

/** Who owns what is made on the way. */
export interface Owner {
  uid: number;
  gid: number;
}

/**
 * Opens a folder inside the root, making what is missing of its path.
 *
 * Each step resolves the path so far from the root again, so that a link in the image counts as a link of
 * the image and `..` never leaves it.
 *
 * @returns an O_PATH descriptor
 */
export function ensureFolderInRoot(root: number, path: string, mode = 0o755, owner?: Owner): number {
  const existing = tryOpenInRoot(root, path, O_PATH | O_DIRECTORY);
  if (existing !== undefined) return existing;
  const { parent, name } = splitPath(path);
  using own = openParent(root, parent, mode, owner);
  const at = own?.number ?? root;
  try {
    mkdirat(at, name, mode);
    if (owner) fchownat(at, name, owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW);
  } catch (error) {
    if (!isErrno(error, EEXIST)) throw error;
  }
  // The name itself may have become (or dangle as) a link: it is resolved inside the root as well.
  try {
    return openInRoot(root, path, O_PATH | O_DIRECTORY);
  } catch (error) {
    if (!isErrno(error, ENOTDIR)) throw error;
    throw new SkiffError(`create folder ${path}: it exists and is not a folder`);
  }
}

/** undefined where it is the root itself. */
function openParent(root: number, parent: string, mode?: number, owner?: Owner): Fd | undefined {
  return parent === "/" ? undefined : new Fd(ensureFolderInRoot(root, parent, mode, owner));
}

/**
 * Opens a file inside the root, making an empty one (and its folders) where there is none.
 *
 * @returns a descriptor to mount on: O_PATH, or of the file that was made
 */
export function ensureFileInRoot(root: number, path: string): number {
  const existing = tryOpenInRoot(root, path, O_PATH);
  if (existing !== undefined) {
    if ((fstat(existing).mode & S_IFMT) !== S_IFDIR) return existing;
    close(existing);
    throw new SkiffError(`create file ${path}: it is a folder`);
  }
  const { parent, name } = splitPath(path);
  using own = openParent(root, parent);
  try {
    return openat(own?.number ?? root, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644);
  } catch (error) {
    if (!isErrno(error, EEXIST)) throw error;
  }
  return openInRoot(root, path, O_PATH);
}

/** Makes a link inside the root, and the folders to it; one that is there already must lead to the same. */
export function makeLinkInRoot(root: number, path: string, link: Uint8Array<ArrayBuffer>): void {
  const { parent, name } = splitPath(path);
  using at = new Fd(ensureFolderInRoot(root, parent));
  try {
    symlinkat(link, at.number, name);
  } catch (error) {
    if (!isErrno(error, EEXIST)) throw error;
    if ((statx(at.number, name, AT_SYMLINK_NOFOLLOW).mode & S_IFMT) === S_IFLNK) {
      const present = readlinkat(at.number, name);
      if (present.length === link.length && present.every((byte, index) => byte === link[index])) return;
    }
    throw new SkiffError(`create link ${path}: something else is there`);
  }
}

/** The last component and what is before it. The last of a made path cannot be `..`. */
function splitPath(path: string): { parent: string; name: string } {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  const name = parts.pop();
  if (name === undefined || name === "..") {
    throw new SkiffError(`create ${path}: not a path of the container`);
  }
  return { parent: `/${parts.join("/")}`, name };
}

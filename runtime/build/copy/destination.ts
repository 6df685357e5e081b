/**
 * Where a COPY goes in the root that it changes: folders are made on the way, links of the image are followed inside
 * the root. Synchronous, for forked children.
 *
 * @see fsutil copy.go: Copy, prepareTargetDir; containerd/continuity fs.RootPath
 */

import { byteString, byteStringOf, displayName } from "../../archive/byte_string.ts";
import { openInRoot, type Owner, tryOpenInRoot } from "../../rootfs/in_root.ts";
import { ConflictError } from "../../errors.ts";
import { EEXIST, isErrno } from "../../../ffi/errno.ts";
import { fchmodat, fchownat, Fd, fstat, mkdirat, readlinkat } from "../../../ffi/file.ts";
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
} from "../../../ffi/constants/fcntl.ts";
import { S_IFDIR, S_IFLNK, S_IFMT } from "../../../ffi/constants/stat.ts";

const MAX_LINKS = 40;

/** The root that is changed. */
export interface TargetRoot {
  /** O_PATH. */
  fd: number;
  /** Who owns folders that are made, which have this real path below the root (a byte string). */
  owner(path: string): Owner;
}

/** A folder, and the name in it; without a name what is copied goes into the folder itself. */
export interface Target extends Disposable {
  folder: number;
  /** The folder's real path below the root, a byte string; "" is the root. */
  path: string;
  /** A byte string. */
  name: string | undefined;
}

/** Where a file of this name, or (without one) the content of a folder, is copied to. */
export function findTarget(root: TargetRoot, destination: string, base: string | undefined): Target {
  const isFolder = /(^|\/)\.?$/.test(destination);
  const { parent, name } = splitPath(destination);
  if (name === undefined || isFolder) return inFolder(root, ensureFolder(root, destination), base);
  new Fd(ensureFolder(root, parent))[Symbol.dispose]();
  const real = followLink(root, destination);
  const there = tryOpenInRoot(root.fd, real, O_PATH);
  if (there !== undefined) {
    using found = new Fd(there);
    const isThere = (fstat(found.number).mode & S_IFMT) === S_IFDIR;
    if (isThere) return inFolder(root, openInRoot(root.fd, real, O_PATH | O_DIRECTORY), base);
    if (base === undefined) {
      throw new ConflictError(`cannot copy to non-directory: ${displayName(byteStringOf(destination))}`);
    }
  } else if (base === undefined) return inFolder(root, ensureFolder(root, real), undefined);
  const place = splitPath(real);
  return inFolder(root, ensureFolder(root, place.parent), byteStringOf(place.name!));
}

/** Opens a folder, O_PATH; what is missing of it is made with mode 0755. */
export function ensureFolder(root: TargetRoot, path: string, links = 0): number {
  const existing = tryOpenInRoot(root.fd, path, O_PATH | O_DIRECTORY);
  if (existing !== undefined) return existing;
  const { parent, name } = splitPath(path);
  const notAFolder = () =>
    new ConflictError(`mkdir ${displayName(byteStringOf(path.replace(/\/+$/, "")))}: not a directory`);
  if (name === undefined) throw notAFolder();
  using at = new Fd(ensureFolder(root, parent, links));
  try {
    mkdirat(at.number, name, 0o755);
  } catch (error) {
    if (!isErrno(error, EEXIST)) throw error;
    // a link that leads nowhere yet: its target is made
    const target = linkTarget(root, path);
    if (target === undefined || links >= MAX_LINKS) throw notAFolder();
    return ensureFolder(root, target, links + 1);
  }
  const { uid, gid } = root.owner(join(realPath(root.fd, at.number), byteStringOf(name)));
  fchownat(at.number, name, uid, gid, AT_SYMLINK_NOFOLLOW);
  // a folder above with a set-group-id bit or default ACL must not lend it
  const made = openInRoot(root.fd, path, O_PATH | O_DIRECTORY);
  fchmodat(AT_FDCWD, `/proc/self/fd/${made}`, 0o755);
  return made;
}

/** Of an open file below `root`, a byte string; "" is the root itself. */
export function realPath(root: number, fd: number): string {
  const own = byteString(readlinkat(AT_FDCWD, `/proc/self/fd/${fd}`));
  const top = byteString(readlinkat(AT_FDCWD, `/proc/self/fd/${root}`));
  return own === top ? "" : own.slice(top === "/" ? 1 : top.length + 1);
}

export function join(folder: string, name: string): string {
  return folder === "" ? name : `${folder}/${name}`;
}

function inFolder(root: TargetRoot, folder: number, name: string | undefined): Target {
  return {
    folder,
    name,
    path: realPath(root.fd, folder),
    [Symbol.dispose]: () => new Fd(folder)[Symbol.dispose](),
  };
}

/** What `path` is after all links at its end. */
function followLink(root: TargetRoot, path: string): string {
  let real = path;
  for (let links = 0; links < MAX_LINKS; links++) {
    const target = linkTarget(root, real);
    if (target === undefined) return real;
    real = target;
  }
  throw new ConflictError(`follow ${displayName(byteStringOf(path))}: too many links`);
}

/** Where the link at the end of `path` points, as a path of the root; undefined where it is no link. */
function linkTarget(root: TargetRoot, path: string): string | undefined {
  const fd = tryOpenInRoot(root.fd, path.replace(/\/+$/, ""), O_PATH | O_NOFOLLOW);
  if (fd === undefined) return undefined;
  using link = new Fd(fd);
  if ((fstat(link.number).mode & S_IFMT) !== S_IFLNK) return undefined;
  const target = new TextDecoder().decode(readlinkat(link.number, ""));
  return target.startsWith("/") ? target : `${splitPath(path).parent}/${target}`;
}

/** The last part, where it is a name, and what is before it. */
function splitPath(path: string): { parent: string; name: string | undefined } {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  const name = parts.pop();
  return { parent: `/${parts.join("/")}`, name: name === ".." ? undefined : name };
}

/** Paths that a command names, on the host or in a container's root, and what is to be made of them. */

import { ENOENT, ENOTDIR, isErrno } from "../../ffi/errno.ts";
import { Fd, fstat, openat, openat2, readlinkat, type Stat } from "../../ffi/file.ts";
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
} from "../../ffi/constants/fcntl.ts";
import { S_IFDIR, S_IFLNK, S_IFMT } from "../../ffi/constants/stat.ts";
import { byteString, byteStringOf } from "../archive/byte_string.ts";
import { ConflictError, NotFoundError } from "../errors.ts";

/** As the kernel follows in one path. @see path_resolution(7) */
const MAX_LINKS = 40;

/** Where paths are looked up. */
export interface Side {
  /** `container web` or `the host`, for messages. */
  name: string;
  /** Opens below it, links followed; throws SyscallError. */
  open(path: string, flags: number): number;
}

/** Paths of this process's own view. */
export const HOST: Side = {
  name: "the host",
  open: (path, flags) => openat(AT_FDCWD, path, flags | O_CLOEXEC),
};

/** Paths inside a root; a relative one begins at the container's working directory, as in podman. */
export function containerSide(root: number, name: string, workdir: string): Side {
  return {
    name: `container ${name}`,
    open: (path, flags) => {
      const inside = path.startsWith("/") ? path : `${workdir}/${path}`;
      const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
      return openat2(root, inside.replace(/^\/+/, "") || ".", flags | O_CLOEXEC, resolve);
    },
  };
}

/** Something that is there. Closed by whoever got it. */
export interface Found extends Disposable {
  /** O_PATH. */
  fd: number;
  stat: Stat;
  isFolder: boolean;
  /** The name it has where it really lies, as a byte string; `/` has none. */
  base: string;
}

/** What `path` leads to. @throws {NotFoundError} worded as podman words it */
export function find(side: Side, path: string): Found {
  const found = tryFind(side, path);
  if (!("error" in found)) return found;
  throw notFound(side, path, found.error);
}

function tryFind(side: Side, path: string): Found | { error: unknown } {
  try {
    return foundAt(side.open(path, O_PATH));
  } catch (error) {
    if (!isErrno(error, ENOENT, ENOTDIR)) throw error;
    return { error };
  }
}

/** What an O_PATH descriptor is open on; it belongs to what is given. */
export function foundAt(fd: number): Found {
  const stat = fstat(fd);
  const path = byteString(readlinkat(AT_FDCWD, `/proc/self/fd/${fd}`));
  return {
    fd,
    stat,
    isFolder: (stat.mode & S_IFMT) === S_IFDIR,
    base: path.slice(path.lastIndexOf("/") + 1),
    [Symbol.dispose]: () => new Fd(fd)[Symbol.dispose](),
  };
}

function notFound(side: Side, path: string, cause: unknown): NotFoundError {
  const reason = isErrno(cause, ENOTDIR) ? "not a directory" : "no such file or directory";
  const message = `"${path}" could not be found on ${side.name}: ${reason}`;
  return new NotFoundError("file", path, { message, cause });
}

/** What is copied. */
export interface Source {
  isFolder: boolean;
  /** Its name in a folder that it is copied into, a byte string. */
  base: string;
  /** The path ends in `/.`, or is the root: what the folder holds is copied, not the folder. */
  contentsOnly: boolean;
}

export function describeSource(path: string, found: Found, side: Side): Source {
  const last = path.replace(/\/+$/, "").split("/").at(-1) ?? "";
  const isRoot = found.base === "" || /^\/*$/.test(path);
  // A link on the host keeps its name; in a container the name is that of what it leads to, as in podman.
  const base = side === HOST && last !== "" && last !== "." && last !== ".."
    ? byteStringOf(last)
    : found.base;
  return { isFolder: found.isFolder, base, contentsOnly: found.isFolder && (last === "." || isRoot) };
}

/** Where a copy goes: into an open folder, under a name, or with that folder's own content. */
export interface Destination extends Disposable {
  /** O_PATH, a folder. */
  folder: number;
  /** A byte string; undefined: the content of the source goes into `folder` itself. */
  name: string | undefined;
}

/**
 * The rules of docker cp and podman cp about what is there and what is not.
 *
 * @see podman-cp(1), DESCRIPTION
 */
export function findDestination(side: Side, path: string, source: Source, links = 0): Destination {
  const there = tryFind(side, path);
  if ("error" in there) return missingDestination(side, path, there.error, links);
  if (there.isFolder) {
    return destination(there.fd, source.contentsOnly ? undefined : source.base);
  }
  using _there = there;
  if (source.isFolder) {
    throw new ConflictError("destination must be a directory when copying a directory");
  }
  const { parent } = splitPath(path);
  // The file itself may be a link's target, elsewhere.
  const real = links < MAX_LINKS ? linkTarget(side, path) : undefined;
  if (real !== undefined) return findDestination(side, real, source, links + 1);
  return destination(side.open(parent, O_PATH | O_DIRECTORY), there.base);
}

/** A name that is free in a folder that exists; of a link that leads nowhere, the name that it leads to. */
function missingDestination(side: Side, path: string, cause: unknown, links: number): Destination {
  const { parent, base } = splitPath(path);
  if (path.endsWith("/") || base === undefined) throw notFound(side, path, cause);
  const target = links < MAX_LINKS ? linkTarget(side, path) : undefined;
  if (target !== undefined) return missingDestination(side, target, cause, links + 1);
  try {
    return destination(side.open(parent, O_PATH | O_DIRECTORY), byteStringOf(base));
  } catch (error) {
    if (!isErrno(error, ENOENT, ENOTDIR)) throw error;
    throw notFound(side, path, error);
  }
}

/** Where the link at the end of `path` points, as a path of the same side; undefined where it is no link. */
function linkTarget(side: Side, path: string): string | undefined {
  const { parent } = splitPath(path);
  try {
    using link = new Fd(side.open(path, O_PATH | O_NOFOLLOW));
    if ((fstat(link.number).mode & S_IFMT) !== S_IFLNK) return undefined;
    const target = new TextDecoder().decode(readlinkat(link.number, ""));
    return target.startsWith("/") ? target : `${parent}/${target}`;
  } catch (error) {
    if (isErrno(error, ENOENT, ENOTDIR)) return undefined;
    throw error;
  }
}

function destination(folder: number, name: string | undefined): Destination {
  return { folder, name, [Symbol.dispose]: () => new Fd(folder)[Symbol.dispose]() };
}

/** The last component, where it is a name, and the folder before it. */
function splitPath(path: string): { parent: string; base: string | undefined } {
  const bare = path.replace(/\/+$/, "");
  const slash = bare.lastIndexOf("/");
  const base = bare.slice(slash + 1);
  const parent = slash > 0 ? bare.slice(0, slash) : slash === 0 ? "/" : ".";
  return { parent, base: base === "" || base === "." || base === ".." ? undefined : base };
}

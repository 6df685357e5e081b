/**
 * What a COPY, ADD or bind mount names in a source tree: paths and wildcards, resolved below the tree's root by
 * descriptors. A link at the end of a path is followed, inside the root; none leads out of it. Synchronous, for
 * forked children.
 *
 * @see BuildKit, dockerfile2llb dispatchCopy; fsutil copy.go: ResolveWildcards
 */

import { bytesOf, byteString, byteStringOf, displayName } from "../../archive/byte_string.ts";
import { type Found, foundAt } from "../../files/place.ts";
import { NotFoundError } from "../../errors.ts";
import { ELOOP, isErrno } from "../../../ffi/errno.ts";
import { Fd, openat, readdir, readlinkat, type Stat, statx, tryOpenat2 } from "../../../ffi/file.ts";
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
} from "../../../ffi/constants/fcntl.ts";
import { S_IFDIR, S_IFMT } from "../../../ffi/constants/stat.ts";
import { cleanPath } from "../plan/paths.ts";
import { below, both, type EntryFilter, excluding, including, TAKE_ALL } from "./filter.ts";
import { compilePart, hasWildcards, patternText, splitWildcards } from "./go_match.ts";

/** What is wanted of a tree. Plain data: it is a part of the cache's key. */
export interface SourceSelection {
  /** Below the tree's root, with the wildcards of COPY. */
  patterns: readonly string[];
  /** `--exclude`. */
  exclude: readonly string[];
  /** `--parents`: the folders of a pattern, from `/./` on where it has one, come along. */
  parents: boolean;
  /** Of a bind mount: a path is a path, whatever is in it. */
  literal?: boolean;
}

/** Where things are selected from. */
export interface SourceRoot {
  /** O_PATH. */
  fd: number;
  /** What .dockerignore leaves of it, by the path below the root. */
  ignore: EntryFilter;
  /** Names the tree in messages. */
  ref: string;
}

/** One file or folder. */
export interface SelectedSource extends Disposable {
  found: Found;
  /** Where it really lies below the tree's root, a byte string. */
  path: string;
  /** Its name in a folder that it is copied into, a byte string: of a link the link's own. */
  base: string;
  /** Of what is below it. */
  filter: EntryFilter;
  /** Of a file of ours: what it shall have instead of its own. */
  attributes?: Pick<Stat, "mode" | "mtimeSec" | "mtimeNsec">;
}

/** All that one pattern names, in order. A wildcard may name nothing. @throws {NotFoundError} where a path is not there */
export function* selectSources(
  root: SourceRoot,
  pattern: string,
  selection: Omit<SourceSelection, "patterns">,
): Generator<SelectedSource> {
  const { folder: path, include } = selection.parents
    ? splitParents(pattern)
    : { folder: cleanPath(pattern), include: undefined };
  const exclude = excluding(selection.exclude);
  const wanted = include === undefined ? exclude : both(including(include), exclude);
  if (include !== undefined && !hasWildcards(path) && !hasWildcards(include)) {
    open(root, byteStringOf(cleanPath(`${path}/${include}`)))[Symbol.dispose](); // it must be there
  }
  const { folder, parts } = selection.literal ? { folder: path, parts: [] } : splitWildcards(path);
  if (parts.length === 0) {
    // a backslash before a wildcard takes its meaning away
    const plain = selection.literal ? folder : folder.replace(/\\([^])/g, "$1");
    return yield select(root, byteStringOf(plain), wanted);
  }
  for (const match of expand(root, folder, parts)) {
    if (include === undefined && exclude !== TAKE_ALL) {
      const isFolder = match.isFolder;
      const names = [match.path.replace(/^\//, ""), match.path.slice(match.path.lastIndexOf("/") + 1)];
      if (names.some((name) => exclude(name, isFolder) === "leave")) continue;
    }
    yield select(root, match.path, wanted);
  }
}

/** `a/./b/c`: the folder a, of which b/c is wanted. */
function splitParents(pattern: string): { folder: string; include: string } {
  const pivot = pattern.indexOf("/./");
  return pivot === -1 ? { folder: "/", include: cleanPath(pattern).slice(1) } : {
    folder: cleanPath(pattern.slice(0, pivot)),
    include: cleanPath(pattern.slice(pivot + "/./".length)).slice(1),
  };
}

function select(root: SourceRoot, path: string, wanted: EntryFilter): SelectedSource {
  const found = open(root, path);
  const real = realPath(root, found.fd);
  const base = path.replace(/\/+$/, "").split("/").at(-1)!;
  return {
    found,
    path: real,
    base: base === "" || base === "." || base === ".." ? found.base : base,
    filter: both(below(root.ignore, real), wanted),
    [Symbol.dispose]: () => found[Symbol.dispose](),
  };
}

/** What lies there really, links followed; ignored files are not there. */
function open(root: SourceRoot, path: string): Found {
  const missing = () =>
    new NotFoundError("file", path, {
      message: `failed to calculate checksum of ref ${root.ref}: "${
        displayName(path.replace(/\/+$/, "") || "/")
      }": not found`,
    });
  let fd: number | undefined;
  try {
    fd = openBelow(root, path, O_PATH);
  } catch (error) {
    if (!isErrno(error, ELOOP)) throw error;
  }
  if (fd === undefined) throw missing();
  const found = foundAt(fd);
  const real = realPath(root, fd);
  if (real !== "" && root.ignore(real, found.isFolder) === "leave") {
    found[Symbol.dispose]();
    throw missing();
  }
  return found;
}

/** Of an open file, below the root; a byte string. */
function realPath(root: SourceRoot, fd: number): string {
  const own = byteString(readlinkat(AT_FDCWD, `/proc/self/fd/${fd}`));
  const top = byteString(readlinkat(AT_FDCWD, `/proc/self/fd/${root.fd}`));
  return own === top ? "" : own.slice(top === "/" ? 1 : top.length + 1);
}

function openBelow(root: SourceRoot, path: string, flags: number): number | undefined {
  const name = bytesOf(path.replace(/^\/+/, "") || ".");
  return tryOpenat2(root.fd, name, flags | O_CLOEXEC, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

interface Match {
  /** A byte string. */
  path: string;
  isFolder: boolean;
}

/** Level by level; links among the folders on the way are not followed, as filepath.Walk does not. */
function expand(root: SourceRoot, folder: string, parts: readonly string[]): Match[] {
  const plain = byteStringOf(folder.replace(/\\([^])/g, "$1"));
  const start = openBelow(root, plain, O_RDONLY | O_DIRECTORY);
  if (start === undefined) return [];
  using top = new Fd(start);
  const matches: Match[] = [];
  const descend = (fd: number, path: string, real: string, depth: number) => {
    const matchesPart = compilePart(parts[depth]!);
    const names = readdir(fd).map(({ name }) => byteString(name)).sort();
    for (const name of names) {
      if (!matchesPart(patternText(name))) continue;
      const isFolder = (statx(fd, bytesOf(name), AT_SYMLINK_NOFOLLOW).mode & S_IFMT) === S_IFDIR;
      const realName = real === "" ? name : `${real}/${name}`;
      if (root.ignore(realName, isFolder) === "leave") continue;
      if (depth === parts.length - 1) matches.push({ path: `${path}/${name}`, isFolder });
      else if (isFolder) {
        using inner = new Fd(openat(fd, bytesOf(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        descend(inner.number, `${path}/${name}`, realName, depth + 1);
      }
    }
  };
  descend(top.number, plain === "/" ? "" : plain, realPath(root, top.number), 0);
  return matches;
}

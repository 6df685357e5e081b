/** A folder's whole tree as text, one line an entry, so that two can be compared entry by entry. */
import { byteString, displayName } from "../runtime/archive/byte_string.ts";
import { close, open, openat, readdir, readlinkat, statx } from "../ffi/file.ts";
import { lgetxattr, llistxattr } from "../ffi/xattr.ts";
import { AT_SYMLINK_NOFOLLOW, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../ffi/constants/fcntl.ts";
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from "../ffi/constants/stat.ts";
import { createHash } from "node:crypto";

const KINDS: Record<number, string> = {
  [S_IFREG]: "file",
  [S_IFDIR]: "folder",
  [S_IFLNK]: "symlink",
  [S_IFCHR]: "char",
  [S_IFBLK]: "block",
  [S_IFIFO]: "fifo",
  [S_IFSOCK]: "socket",
};

export interface TreeOptions {
  /** Ids on disk to ids of the image. */
  uid?: (id: number) => number;
  gid?: (id: number) => number;
  /** Entries to leave out. */
  skip?: (kind: string, path: string) => boolean;
  /** Extended attributes to leave out, besides security.selinux. */
  skipXattr?: (name: string) => boolean;
  /** The root's own line; off where another program keeps no metadata of it. */
  root?: boolean;
}

/** Lines `path kind mode uid:gid links size mtime rdev target xattrs content`, sorted by path. */
export function describeTree(top: string, options: TreeOptions = {}): string[] {
  const lines: string[] = [];
  const uid = options.uid ?? ((one) => one);
  const gid = options.gid ?? ((one) => one);
  const visit = (dirfd: number, dir: string, name: Uint8Array | string, path: string, isRoot: boolean) => {
    const stat = statx(dirfd, name, AT_SYMLINK_NOFOLLOW);
    const kind = KINDS[stat.mode & S_IFMT] ?? "unknown";
    if (options.skip?.(kind, path)) return;
    const full = isRoot ? dir : `${dir}/${typeof name === "string" ? name : byteString(name)}`;
    if (!isRoot || options.root !== false) {
      const isFolder = kind === "folder";
      lines.push(
        [
          displayName(path) || "/",
          kind,
          (stat.mode & 0o7777).toString(8),
          `${uid(stat.uid)}:${gid(stat.gid)}`,
          // A folder's link count and size say how the file system keeps it, not what it holds.
          isFolder ? "-" : stat.nlink,
          isFolder || kind === "symlink" ? "-" : stat.size,
          `${stat.mtimeSec}.${String(stat.mtimeNsec).padStart(9, "0")}`,
          kind === "char" || kind === "block" ? `${stat.rdevMajor}:${stat.rdevMinor}` : "-",
          kind === "symlink" ? displayName(byteString(readlinkat(dirfd, name))) : "-",
          xattrs(full, options),
          kind === "file" ? hash(full) : "-",
        ].join(" "),
      );
    }
    if (kind !== "folder") return;
    const fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      for (const entry of readdir(fd)) {
        visit(
          fd,
          full,
          entry.name,
          path === "" ? byteString(entry.name) : `${path}/${byteString(entry.name)}`,
          false,
        );
      }
    } finally {
      close(fd);
    }
  };
  const fd = open(top, O_RDONLY | O_DIRECTORY);
  try {
    visit(fd, top, ".", "", true);
  } finally {
    close(fd);
  }
  return lines.sort();
}

/** Lines that only one of the two has, at most twenty, with `-` and `+` in front. */
export function differences(one: readonly string[], other: readonly string[]): string[] {
  const [first, second] = [new Set(one), new Set(other)];
  return [
    ...one.filter((line) => !second.has(line)).map((line) => `- ${line}`),
    ...other.filter((line) => !first.has(line)).map((line) => `+ ${line}`),
  ].slice(0, 20);
}

function bytes(path: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(path, (char) => char.charCodeAt(0));
}

function xattrs(path: string, options: TreeOptions): string {
  const found: string[] = [];
  for (const name of llistxattr(bytes(path))) {
    const text = byteString(name);
    if (text === "security.selinux" || options.skipXattr?.(text)) continue;
    found.push(`${text}=${lgetxattr(bytes(path), name)?.toHex()}`);
  }
  return `[${found.sort().join(" ")}]`;
}

function hash(path: string): string {
  const fd = open(bytes(path), O_RDONLY | O_NOFOLLOW);
  try {
    using file = Deno.openSync(`/proc/self/fd/${fd}`);
    const digest = createHash("sha256");
    const buffer = new Uint8Array(1 << 18);
    for (let length = file.readSync(buffer); length !== null; length = file.readSync(buffer)) {
      digest.update(buffer.subarray(0, length));
    }
    return digest.digest("hex").slice(0, 16);
  } finally {
    close(fd);
  }
}

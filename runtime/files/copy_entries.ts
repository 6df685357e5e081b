/**
 * Copies files and trees from one side to the other by descriptors: while a container swaps names for links, every
 * step stays below the folder that was opened before (CVE-2018-15664). Synchronous, for forked children.
 *
 * Kept: modes, times, extended attributes, hard links, holes, FIFOs; owners as the rules say.
 */

import { bytesOf, byteString, displayName } from "../archive/byte_string.ts";
import { ConflictError, HostError } from "../errors.ts";
import { copyAttributes, copyTimes, descend } from "../rootfs/copy_tree.ts";
import type { Owner } from "../rootfs/in_root.ts";
import { ContentCopier } from "../../ffi/content_copy.ts";
import { EACCES, EBUSY, EPERM, errnoText, isErrno, SyscallError } from "../../ffi/errno.ts";
import {
  type Dirent,
  fchownat,
  Fd,
  fstat,
  linkat,
  mkdirat,
  mknodat,
  openat,
  readdir,
  readlinkat,
  type Stat,
  statx,
  symlinkat,
} from "../../ffi/file.ts";
import { filesystemType } from "../../ffi/mount.ts";
import { settleElsewhere } from "../state/spread.ts";
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
} from "../../ffi/constants/fcntl.ts";
import {
  CGROUP2_SUPER_MAGIC,
  CGROUP_SUPER_MAGIC,
  DEVPTS_SUPER_MAGIC,
  PROC_SUPER_MAGIC,
  SYSFS_MAGIC,
} from "../../ffi/constants/mount.ts";
import {
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  STATX_ATTR_MOUNT_ROOT,
} from "../../ffi/constants/stat.ts";
import { makeRoom, type RoomRules } from "./make_room.ts";
import type { Found } from "./place.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export const OPEN_FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
/** Should a FIFO or terminal take a file's place, it is neither waited for nor taken over. */
const OPEN_FILE = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

/** From so many on it matters where the file system puts a folder. */
const MANY_ENTRIES = 256;

export interface CopyRules extends RoomRules {
  /** Who shall own the copy, `path` below the folder that is copied into. */
  owner(stat: Stat, path: readonly Bytes[]): Owner;
  /** Mode and times of the copy, where they are not those of its source. */
  adjust?(stat: Stat): Stat;
  /** Files come without capabilities. */
  omitCapabilities?: boolean;
  /** What comes along, by the path below the source (a byte string); `look`: only if something in the folder does. */
  wanted?(path: string, isFolder: boolean): "take" | "look" | "leave";
  /** Device nodes are made; else they are left out. */
  makeDevices: boolean;
  /** What the source does not let us read is left out. */
  skipUnreadable: boolean;
}

/** Their files are the kernel's state, not content. The last is mqueue's, which no header names. */
const KERNEL_FILESYSTEMS = new Set([
  PROC_SUPER_MAGIC,
  SYSFS_MAGIC,
  DEVPTS_SUPER_MAGIC,
  CGROUP_SUPER_MAGIC,
  CGROUP2_SUPER_MAGIC,
  0x19800202,
]);

/** What was left out, and why; at most a few are kept for the message. */
export interface Skipped {
  count: number;
  examples: string[];
}

export class EntryCopier {
  readonly skipped: Skipped = { count: 0, examples: [] };
  readonly #rules: CopyRules;
  readonly #content = new ContentCopier();
  /** Where names are counted from, and the first names of files with several by device and inode. */
  #root = -1;
  readonly #links = new Map<string, Bytes[]>();
  /** The copy itself, should it lie in what is copied. */
  #own = "";
  /** How many parts of a path are the name that the source itself got. */
  #named = 0;

  constructor(rules: CopyRules) {
    this.#rules = rules;
  }

  /** Copies what was found to `name` in the folder `to`; without a name what it holds, into `to` itself. */
  copy(source: Found, to: number, name: string | undefined): void {
    using target = new Fd(openat(to, ".", OPEN_FOLDER));
    this.#root = target.number;
    if (name === undefined) this.#own = identity(fstat(target.number));
    this.#named = name === undefined ? 0 : 1;
    const { stat } = source;
    // Through /proc it is the opened file itself, whatever its name leads to by now.
    const reopen = () => openat(AT_FDCWD, `/proc/self/fd/${source.fd}`, OPEN_FILE);
    if (name === undefined) {
      using folder = new Fd(reopen());
      this.#contents(folder.number, readdir(folder.number), target.number, []);
    } else if (source.isFolder) {
      using folder = new Fd(reopen());
      this.#folder(folder.number, stat, target.number, [bytesOf(name)]);
    } else {
      const path = [bytesOf(name)];
      try {
        if ((stat.mode & S_IFMT) === S_IFREG) this.#file(reopen, stat, target.number, path);
        else this.#node(stat, undefined, target.number, path);
      } catch (error) {
        throw explain(error, path);
      }
    }
  }

  #contents(from: number, entries: readonly Dirent[], to: number, path: Bytes[]): void {
    for (const { name } of entries) {
      const inner = [...path, name];
      try {
        this.#entry(from, to, inner);
      } catch (error) {
        throw explain(error, inner);
      }
    }
  }

  #entry(from: number, to: number, path: Bytes[]): void {
    const name = path.at(-1)!;
    const stat = statx(from, name, AT_SYMLINK_NOFOLLOW);
    const type = stat.mode & S_IFMT;
    if (!this.#isWanted(from, name, type === S_IFDIR, path)) return;
    try {
      if (type === S_IFDIR) {
        if (identity(stat) === this.#own) return;
        using folder = new Fd(openat(from, name, OPEN_FOLDER));
        if (isKernelFilesystem(folder.number, stat)) {
          makeRoom(to, name, true, this.#rules, () => mkdirat(to, name, stat.mode & 0o777));
          return this.#skip(path, "a file system of the kernel");
        }
        this.#folder(folder.number, stat, to, path);
      } else if (type === S_IFREG) {
        this.#file(() => openat(from, name, OPEN_FILE | O_NOFOLLOW), stat, to, path);
      } else {
        this.#node(stat, () => readlinkat(from, name), to, path);
      }
    } catch (error) {
      if (error instanceof UnreadableError) this.#skip(path, "permission denied");
      else throw error;
    }
  }

  #isWanted(from: number, name: Bytes, isFolder: boolean, path: readonly Bytes[]): boolean {
    const { wanted } = this.#rules;
    if (wanted === undefined) return true;
    const below = path.slice(this.#named).map((part) => byteString(part)).join("/");
    const decision = wanted(below, isFolder);
    return decision === "take" || decision === "look" && holdsWanted(from, name, below, wanted);
  }

  #folder(from: number, stat: Stat, to: number, path: Bytes[]): void {
    const name = path.at(-1)!;
    const isNew = makeRoom(to, name, true, this.#rules, () => mkdirat(to, name, 0o700));
    const entries = readdir(from);
    if (isNew && entries.length >= MANY_ENTRIES) settleElsewhere(to, name);
    using target = new Fd(openat(to, name, OPEN_FOLDER));
    if (this.#own === "") this.#own = identity(fstat(target.number));
    this.#contents(from, entries, target.number, path);
    copyAttributes(from, target.number, this.#rules.adjust?.(stat) ?? stat, this.#rules.owner(stat, path));
  }

  #file(open: () => number, stat: Stat, to: number, path: Bytes[]): void {
    const name = path.at(-1)!;
    const key = identity(stat);
    const first = stat.nlink > 1 ? this.#links.get(key) : undefined;
    if (first !== undefined) {
      using folder = new Fd(descend(this.#root, first.slice(0, -1)));
      makeRoom(to, name, false, this.#rules, () => linkat(folder.number, first.at(-1)!, to, name));
      this.#rules.owner(stat, path); // who writes owners down does so for every name
      return;
    }
    using source = new Fd(this.#openSource(open));
    const now = fstat(source.number);
    if ((now.mode & S_IFMT) !== S_IFREG) {
      throw new ConflictError(`copy ${showPath(path)}: it was replaced while it was copied`);
    }
    using target = new Fd(this.#createFile(to, name));
    this.#content.copy(source.number, target.number, now);
    copyAttributes(
      source.number,
      target.number,
      this.#rules.adjust?.(now) ?? now,
      this.#rules.owner(now, path),
      this.#rules.omitCapabilities,
    );
    if (stat.nlink > 1) this.#links.set(key, path);
  }

  #openSource(open: () => number): number {
    try {
      return open();
    } catch (error) {
      if (this.#rules.skipUnreadable && isErrno(error, EACCES, EPERM)) throw new UnreadableError();
      throw error;
    }
  }

  #createFile(to: number, name: Bytes): number {
    let fd = -1;
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    try {
      makeRoom(to, name, false, this.#rules, () => fd = openat(to, name, flags, 0o600));
      return fd;
    } catch (error) {
      if (!isErrno(error, EBUSY)) throw error;
      // A file that is mounted there, such as /etc/hosts, is written in its place.
      return openat(to, name, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }
  }

  /** A link (which `target` reads), FIFO or device. */
  #node(stat: Stat, target: (() => Bytes) | undefined, to: number, path: Bytes[]): void {
    const name = path.at(-1)!;
    const type = stat.mode & S_IFMT;
    if (type === S_IFSOCK) return this.#skip(path, "a socket");
    if (type !== S_IFLNK && type !== S_IFIFO && !this.#rules.makeDevices) return this.#skip(path, "a device");
    const shown = this.#rules.adjust?.(stat) ?? stat;
    makeRoom(to, name, false, this.#rules, () => {
      if (type === S_IFLNK) symlinkat(target!(), to, name);
      else mknodat(to, name, shown.mode, stat.rdevMajor, stat.rdevMinor);
    });
    const { uid, gid } = this.#rules.owner(stat, path);
    fchownat(to, name, uid, gid, AT_SYMLINK_NOFOLLOW);
    copyTimes(to, name, shown);
  }

  #skip(path: Bytes[], reason: string): void {
    if (this.skipped.count++ < 3) this.skipped.examples.push(`${showPath(path)} (${reason})`);
  }
}

class UnreadableError extends Error {}

/** Whether anything in the folder comes along, however deep. */
function holdsWanted(
  from: number,
  name: Bytes,
  path: string,
  wanted: NonNullable<CopyRules["wanted"]>,
): boolean {
  using folder = new Fd(openat(from, name, OPEN_FOLDER));
  return readdir(folder.number).some((entry) => {
    const inner = `${path}/${byteString(entry.name)}`;
    const isFolder = (statx(folder.number, entry.name, AT_SYMLINK_NOFOLLOW).mode & S_IFMT) === S_IFDIR;
    const decision = wanted(inner, isFolder);
    return decision === "take" ||
      decision === "look" && holdsWanted(folder.number, entry.name, inner, wanted);
  });
}

/** A failed system call as the sentence of the entry that it failed for, the innermost one. */
function explain(error: unknown, path: readonly Bytes[]): unknown {
  if (!(error instanceof SyscallError)) return error;
  const text = errnoText(error.errno);
  return new HostError(
    `copy "${showPath(path)}": ${error.syscall}: ${text.charAt(0).toLowerCase()}${text.slice(1)}`,
  );
}

export function identity(stat: Stat): string {
  return `${stat.devMajor}:${stat.devMinor}:${stat.ino}`;
}

/** Whether a mounted folder shows the kernel's own state: that is no content of the container. */
export function isKernelFilesystem(fd: number, stat: Stat): boolean {
  return (stat.attributes & STATX_ATTR_MOUNT_ROOT) !== 0 && KERNEL_FILESYSTEMS.has(filesystemType(fd));
}

function showPath(path: readonly Bytes[]): string {
  return displayName(path.map((name) => byteString(name)).join("/"));
}

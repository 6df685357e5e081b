/**
 * Writes a tree as a tar archive, by descriptors: for `cp CONTAINER:PATH -` and `export`. Synchronous, for forked
 * children.
 */

import { bytesOf, byteString, displayName } from "../archive/byte_string.ts";
import { readXattrs, sparseRuns, writeRun } from "../archive/file_facts.ts";
import { type TarEntry, TarWriter } from "../archive/tar.ts";
import type { TarMember } from "../archive/tar/writer.ts";
import type { Owner } from "../rootfs/in_root.ts";
import { EACCES, EAGAIN, EPERM, isErrno } from "../../ffi/errno.ts";
import { Fd, fstat, openat, readdir, readlinkat, type Stat, statx, write } from "../../ffi/file.ts";
import { pollBlocking } from "../../ffi/poll.ts";
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
} from "../../ffi/constants/fcntl.ts";
import { POLLOUT } from "../../ffi/constants/poll.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts";
import { identity, isKernelFilesystem, OPEN_FOLDER, type Skipped } from "./copy_entries.ts";
import type { Found } from "./place.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const OPEN_FILE = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
const BUFFER_BYTES = 1 << 18;

export interface TarOutRules {
  /** The owner as the archive names it: ids of the container. */
  owner(stat: Stat): Owner;
  /** Members are made of the mounted root alone: what is mounted below is left out. */
  oneFilesystem?: boolean;
}

export class TarTree {
  readonly skipped: Skipped = { count: 0, examples: [] };
  readonly #rules: TarOutRules;
  readonly #out: BufferedOutput;
  readonly #tar: TarWriter;
  /** First names of files with several, by device and inode. */
  readonly #links = new Map<string, string>();
  readonly #buffer = new Uint8Array(BUFFER_BYTES);

  constructor(fd: number, rules: TarOutRules) {
    this.#rules = rules;
    this.#out = new BufferedOutput(fd);
    this.#tar = new TarWriter((bytes) => this.#out.write(bytes));
  }

  /** Adds what was found as `name`; without a name what it holds. */
  add(source: Found, name: string | undefined): void {
    const reopen = () => openat(AT_FDCWD, `/proc/self/fd/${source.fd}`, OPEN_FILE);
    if (source.isFolder) {
      using folder = new Fd(reopen());
      if (name !== undefined) this.#header(`${name}/`, "directory", source.stat, folder.number);
      this.#contents(folder.number, name === undefined ? "" : `${name}/`, source.stat);
    } else if ((source.stat.mode & S_IFMT) === S_IFREG) this.#file(reopen, name ?? "", source.stat);
    else this.#node(name ?? "", source.stat, undefined);
  }

  /** Ends the archive. */
  finish(): void {
    this.#tar.finish();
    this.#out.flush();
  }

  #contents(from: number, prefix: string, parent: Stat): void {
    // in order, so that the same tree gives the same archive
    const names = readdir(from).map(({ name }) => byteString(name)).sort();
    for (const name of names) this.#entry(from, name, prefix, parent);
  }

  #entry(from: number, text: string, prefix: string, parent: Stat): void {
    const name = bytesOf(text);
    const stat = statx(from, name, AT_SYMLINK_NOFOLLOW);
    const path = prefix + text;
    switch (stat.mode & S_IFMT) {
      case S_IFDIR: {
        using folder = new Fd(openat(from, name, OPEN_FOLDER));
        this.#header(`${path}/`, "directory", stat, folder.number);
        const isOther = stat.devMajor !== parent.devMajor || stat.devMinor !== parent.devMinor;
        if (this.#rules.oneFilesystem && isOther) return;
        if (isKernelFilesystem(folder.number, stat)) return this.#skip(path, "a file system of the kernel");
        return this.#contents(folder.number, `${path}/`, stat);
      }
      case S_IFREG:
        return this.#file(() => openat(from, name, OPEN_FILE | O_NOFOLLOW), path, stat);
      default:
        return this.#node(path, stat, () => readlinkat(from, name));
    }
  }

  #file(open: () => number, path: string, stat: Stat): void {
    const first = stat.nlink > 1 ? this.#links.get(identity(stat)) : undefined;
    if (first !== undefined) {
      return this.#tar.header({ ...this.#member(path, "hardlink", stat), linkname: first });
    }
    let fd: number;
    try {
      fd = open();
    } catch (error) {
      if (isErrno(error, EACCES, EPERM)) return this.#skip(path, "permission denied");
      throw error;
    }
    using file = new Fd(fd);
    const now = fstat(fd);
    if ((now.mode & S_IFMT) !== S_IFREG) return this.#skip(path, "replaced while it was read");
    const sparse = sparseRuns(file.number, now);
    this.#header(path, "file", now, fd, { size: now.size, sparse });
    for (const run of sparse ?? [{ offset: 0, length: now.size }]) {
      writeRun(this.#tar, fd, run, this.#buffer);
    }
    if (stat.nlink > 1) this.#links.set(identity(stat), path);
  }

  #node(path: string, stat: Stat, target: (() => Bytes) | undefined): void {
    switch (stat.mode & S_IFMT) {
      case S_IFLNK:
        return this.#tar.header({
          ...this.#member(path, "symlink", stat),
          linkname: byteString(target!()),
        });
      case S_IFIFO:
        return this.#tar.header(this.#member(path, "fifo", stat));
      case S_IFCHR:
      case S_IFBLK: {
        const type = (stat.mode & S_IFMT) === S_IFCHR ? "char" : "block";
        const { rdevMajor: devmajor, rdevMinor: devminor } = stat;
        return this.#tar.header({ ...this.#member(path, type, stat), devmajor, devminor });
      }
      default:
        this.#skip(path, "a socket");
    }
  }

  #header(path: string, type: TarEntry["type"], stat: Stat, fd: number, more: Partial<TarMember> = {}): void {
    this.#tar.header({ ...this.#member(path, type, stat), ...more, xattrs: readXattrs(fd) });
  }

  #member(name: string, type: TarEntry["type"], stat: Stat): TarMember {
    const { uid, gid } = this.#rules.owner(stat);
    return { name, type, mode: stat.mode & 0o7777, uid, gid, mtime: stat.mtimeSec, mtimeNs: stat.mtimeNsec };
  }

  #skip(path: string, reason: string): void {
    if (this.skipped.count++ < 3) this.skipped.examples.push(`${displayName(path)} (${reason})`);
  }
}

/** Headers are small: they are gathered. A descriptor that somebody made non-blocking is waited for. */
class BufferedOutput {
  readonly #fd: number;
  readonly #buffer = new Uint8Array(1 << 16);
  #filled = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(bytes: Uint8Array): void {
    if (this.#filled + bytes.length > this.#buffer.length) this.flush();
    if (bytes.length > this.#buffer.length) return this.#writeOut(bytes as Bytes);
    this.#buffer.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  flush(): void {
    this.#writeOut(this.#buffer.subarray(0, this.#filled));
    this.#filled = 0;
  }

  #writeOut(bytes: Bytes): void {
    for (let done = 0; done < bytes.length;) {
      try {
        done += write(this.#fd, done === 0 ? bytes : bytes.subarray(done));
      } catch (error) {
        if (!isErrno(error, EAGAIN)) throw error;
        pollBlocking(this.#fd, POLLOUT, -1);
      }
    }
  }
}

/**
 * Writes what a tree has changed as a layer's archive: sorted, the same bytes for the same tree. Synchronous, for
 * forked children.
 *
 * @see OCI image-spec layer.md
 */

import { bytesOf, byteString } from "../archive/byte_string.ts";
import { readXattrs, sparseRuns, writeRun } from "../archive/file_facts.ts";
import { type TarMember, TarWriter } from "../archive/tar/writer.ts";
import { HostError } from "../errors.ts";
import { Fd, fstat, openat, readlinkat, type Stat, utimensat, write } from "../../ffi/file.ts";
import { llistxattr, lremovexattr } from "../../ffi/xattr.ts";
import { O_CLOEXEC, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } from "../../ffi/constants/fcntl.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts";
import type { ChangedEntry, ChangedTree } from "./capture_changes.ts";
import type { ArchiveHash } from "./layer_hash.ts";
import { OPEN_FOLDER } from "./layered_folder.ts";
import { DEFAULT_LAYER_LIMIT_BYTES } from "./layers.ts";

/** `all`: every entry gets that time; `later`: only what is younger. */
export interface LayerTimes {
  /** Since 1970. */
  seconds: number;
  apply: "all" | "later";
}

export interface TarRules {
  times?: LayerTimes;
  /** The tree becomes what the archive would unpack to: times are set, and the overlay's own marks removed. */
  settle: boolean;
}

const OPEN_FILE = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
const BUFFER_BYTES = 1 << 18;
const TYPES: Record<number, TarMember["type"]> = {
  [S_IFDIR]: "directory",
  [S_IFREG]: "file",
  [S_IFLNK]: "symlink",
  [S_IFIFO]: "fifo",
  [S_IFCHR]: "char",
  [S_IFBLK]: "block",
};
/** What the kernel keeps in an upper folder for itself. What hides lower layers, stays. */
const OVERLAY_MARK = /^(user|trusted)\.overlay\./;
const OPAQUE_MARK = /^(user|trusted)\.overlay\.opaque$/;

/** Writes the archive to `fd` (-1: nowhere) and gives its digest in hex and size. */
export function writeLayerTar(
  rootFd: number,
  tree: ChangedTree,
  fd: number,
  hash: ArchiveHash,
  rules: TarRules,
): { hex: string; bytes: number } {
  const out = new HashedOutput(fd, hash);
  const writer = new LayerTarWriter(out, rules);
  writer.tree(rootFd, tree);
  return out.finish();
}

class LayerTarWriter {
  readonly #tar: TarWriter;
  readonly #rules: TarRules;
  /** First names of files with several, by device and inode. */
  readonly #links = new Map<string, string>();
  readonly #buffer = new Uint8Array(BUFFER_BYTES);

  constructor(out: HashedOutput, rules: TarRules) {
    this.#tar = new TarWriter((bytes) => out.write(bytes));
    this.#rules = rules;
  }

  tree(rootFd: number, { root, rootOwner, hasRoot, isOpaque, entries }: ChangedTree): void {
    if (hasRoot) this.#header({ name: ".", stat: root, owner: rootOwner, entries }, "./", rootFd);
    if (isOpaque) this.#mark(".wh..wh..opq");
    this.#folder(rootFd, entries, "");
    if (this.#rules.settle) this.#removeMarks(rootFd, ".", false);
    this.#tar.finish();
  }

  #folder(fd: number, entries: readonly ChangedEntry[], prefix: string): void {
    for (const entry of entries) this.#entry(fd, entry, prefix);
  }

  #entry(parent: number, entry: ChangedEntry, prefix: string): void {
    const { stat, name } = entry;
    if (stat === undefined) return this.#mark(`${prefix}.wh.${name}`);
    const path = prefix + name;
    const raw = bytesOf(name);
    switch (stat.mode & S_IFMT) {
      case S_IFDIR: {
        using folder = new Fd(openat(parent, raw, OPEN_FOLDER));
        this.#header(entry, `${path}/`, folder.number);
        if (entry.isOpaque) this.#mark(`${path}/.wh..wh..opq`);
        this.#folder(folder.number, entry.entries!, `${path}/`);
        break;
      }
      case S_IFREG:
        this.#file(parent, entry, path);
        break;
      case S_IFLNK:
        this.#tar.header({ ...this.#member(entry, path), linkname: byteString(readlinkat(parent, raw)) });
        break;
      default:
        this.#tar.header({
          ...this.#member(entry, path),
          devmajor: stat.rdevMajor,
          devminor: stat.rdevMinor,
        });
    }
    if (this.#rules.settle) this.#settle(parent, entry);
  }

  /** An empty file that says something about others. */
  #mark(name: string): void {
    this.#tar.header({ name, type: "file", mode: 0, size: 0 });
  }

  #file(parent: number, entry: ChangedEntry, path: string): void {
    const stat = entry.stat!;
    const key = `${stat.devMajor}:${stat.devMinor}:${stat.ino}`;
    const first = stat.nlink > 1 ? this.#links.get(key) : undefined;
    if (first !== undefined) {
      return this.#tar.header({ ...this.#member(entry, path), type: "hardlink", linkname: first });
    }
    using file = new Fd(openat(parent, bytesOf(entry.name), OPEN_FILE));
    const now = fstat(file.number);
    if ((now.mode & S_IFMT) !== S_IFREG) {
      throw new HostError(`capture layer: "${path}" was replaced meanwhile`);
    }
    const sparse = sparseRuns(file.number, now);
    this.#header(entry, path, file.number, { size: now.size, sparse });
    for (const run of sparse ?? [{ offset: 0, length: now.size }]) {
      writeRun(this.#tar, file.number, run, this.#buffer);
    }
    if (stat.nlink > 1) this.#links.set(key, path);
  }

  #header(entry: ChangedEntry, path: string, fd: number, more: Partial<TarMember> = {}): void {
    this.#tar.header({ ...this.#member(entry, path), ...more, xattrs: readXattrs(fd) });
  }

  #member(entry: ChangedEntry, name: string): TarMember {
    const stat = entry.stat!;
    const { sec, nsec } = this.#mtime(stat);
    const type = TYPES[stat.mode & S_IFMT]!;
    return { name, type, mode: stat.mode & 0o7777, ...entry.owner, mtime: sec, mtimeNs: nsec };
  }

  #mtime(stat: Stat): { sec: number; nsec: number } {
    const { times } = this.#rules;
    const isKept = times === undefined || (times.apply === "later" && stat.mtimeSec < times.seconds);
    return isKept ? { sec: stat.mtimeSec, nsec: stat.mtimeNsec } : { sec: times.seconds, nsec: 0 };
  }

  #settle(parent: number, entry: ChangedEntry): void {
    const stat = entry.stat!;
    this.#removeMarks(parent, entry.name, entry.isOpaque === true);
    const mtime = this.#mtime(stat);
    if (entry.wasTrimmed || mtime.sec !== stat.mtimeSec || mtime.nsec !== stat.mtimeNsec) {
      utimensat(parent, bytesOf(entry.name), mtime, mtime);
    }
  }

  #removeMarks(parent: number, name: string, keepOpaque: boolean): void {
    const path = bytesOf(`/proc/self/fd/${parent}/${name}`);
    for (const raw of llistxattr(path)) {
      const key = byteString(raw);
      if (OVERLAY_MARK.test(key) && !(keepOpaque && OPAQUE_MARK.test(key))) lremovexattr(path, key);
    }
  }
}

/** Gathers, hashes and writes. */
class HashedOutput {
  readonly #fd: number;
  readonly #hash: ArchiveHash;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #filled = 0;
  #total = 0;

  constructor(fd: number, hash: ArchiveHash) {
    this.#fd = fd;
    this.#hash = hash;
  }

  write(bytes: Uint8Array): void {
    if (this.#filled + bytes.length > this.#buffer.length) this.#flush();
    if (bytes.length > this.#buffer.length) return this.#pass(bytes as Uint8Array<ArrayBuffer>);
    this.#buffer.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  finish(): { hex: string; bytes: number } {
    this.#flush();
    return { hex: this.#hash.finish(), bytes: this.#total };
  }

  #flush(): void {
    this.#pass(this.#buffer.subarray(0, this.#filled));
    this.#filled = 0;
  }

  #pass(bytes: Uint8Array<ArrayBuffer>): void {
    this.#total += bytes.length;
    if (this.#total > DEFAULT_LAYER_LIMIT_BYTES) {
      throw new HostError(`capture layer: it is larger than the limit of ${DEFAULT_LAYER_LIMIT_BYTES} bytes`);
    }
    this.#hash.update(bytes);
    for (let done = 0; this.#fd !== -1 && done < bytes.length;) {
      done += write(this.#fd, done === 0 ? bytes : bytes.subarray(done));
    }
  }
}

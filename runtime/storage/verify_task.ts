/**
 * Compares an unpacked layer with the blob it came from, file by file and byte by byte: the archive itself is the
 * record of what there should be. Synchronous, for a forked child that is root of the user's namespace.
 */

import { createHash } from "node:crypto";
import { bytesOf, byteString, displayName } from "../archive/byte_string.ts";
import { type ByteSource, readFully } from "../archive/chunks.ts";
import { fileRange } from "../archive/file_chunks.ts";
import { type TarEntry, TarReader } from "../archive/tar.ts";
import { digestAlgorithm, digestHex } from "../spec/digest.ts";
import { errnoText, SyscallError } from "../../ffi/errno.ts";
import {
  close,
  open,
  openat,
  openat2,
  pread,
  readdir,
  readlinkat,
  type Stat,
  statx,
} from "../../ffi/file.ts";
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
} from "../../ffi/constants/fcntl.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts";
import { decompressed } from "./extract_task.ts";
import { cleanPath, LayerNames } from "./layer_names.ts";
import type { LayerJob } from "./layers.ts";

/** What is wrong with a layer. */
export interface LayerFindings {
  /** Set where the blob is not what its digest says, so that nothing can be compared. */
  blob?: string;
  /** `etc/passwd: its content was changed`; the first of them. */
  files: string[];
  /** How many there are. */
  count: number;
}

/** So many are told one by one. */
const TOLD = 50;
const FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/** What the archive says about a path; hard links share one. */
interface Expected {
  /** S_IFMT bits. */
  type: number;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  link: string;
  device: [number, number];
  isChanged: boolean;
}

const TYPES: Partial<Record<TarEntry["type"], number>> = {
  file: S_IFREG,
  directory: S_IFDIR,
  symlink: S_IFLNK,
  char: S_IFCHR,
  block: S_IFBLK,
  fifo: S_IFIFO,
};

/** Compares the tree at `treePath` with the blob of `job`. */
export function verifyLayer(treePath: string, job: LayerJob): LayerFindings {
  const findings: LayerFindings = { files: [], count: 0 };
  const tell = (path: string, what: string) => {
    if (findings.count++ < TOLD) findings.files.push(`/${displayName(path)}: ${what}`);
  };
  const root = open(treePath, FOLDER);
  try {
    const expected = new ExpectedTree(root, job);
    findings.blob = expected.readBlob();
    if (findings.blob === undefined) new TreeComparer(expected, job.form, tell).compare(root);
  } finally {
    close(root);
  }
  return findings;
}

class ExpectedTree {
  /** By clean path. */
  readonly entries = new Map<string, Expected>();
  /** Folders that the archive has no entry for, but files in them. */
  readonly implied = new Set<string>([""]);
  readonly #root: number;
  readonly #job: LayerJob;
  readonly #names = new LayerNames();
  readonly #buffer = new Uint8Array(1 << 18);

  constructor(root: number, job: LayerJob) {
    this.#root = root;
    this.#job = job;
  }

  /** Reads all of the archive, comparing contents on the way. Gives what is wrong with the blob itself. */
  readBlob(): string | undefined {
    const { digest, blobFile } = this.#job;
    const buffer = new Uint8Array(1 << 18);
    const fd = open(blobFile, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    try {
      const file = fileRange(fd);
      const hash = createHash(digestAlgorithm(digest));
      const blob = {
        read(into: Uint8Array<ArrayBuffer>) {
          const length = file.read(into);
          hash.update(into.subarray(0, length));
          return length;
        },
      };
      let failure: unknown;
      try {
        const archive = decompressed(blob, this.#job);
        const reader = new TarReader({ next: () => pieceOf(archive, buffer) });
        for (let entry = reader.next(); entry !== null; entry = reader.next()) this.#add(entry, reader);
      } catch (error) {
        // of our own reading: a damaged archive says so below, by its digest
        if (error instanceof SyscallError) throw error;
        failure = error;
      }
      while (blob.read(buffer) > 0);
      if (hash.digest("hex") !== digestHex(digest)) return "its content was changed";
      if (failure !== undefined) throw failure;
    } finally {
      close(fd);
    }
  }

  #add(entry: TarEntry, reader: TarReader): void {
    const { kind, path, parent } = this.#names.classify(entry.name, entry.type === "directory");
    if (kind === "ignored" || kind === "opaque") return this.#imply(path);
    this.#imply(parent);
    if (kind === "whiteout") {
      if (!this.entries.has(path)) this.entries.set(path, { ...NOTHING, type: S_IFCHR });
      return;
    }
    const isDevice = entry.type === "char" || entry.type === "block";
    if (isDevice && !this.#job.form.startsWith("root")) return;
    if (entry.type !== "directory") this.#replace(path);
    if (entry.type === "hardlink") {
      const target = this.entries.get(cleanPath(entry.linkname));
      if (target !== undefined) this.entries.set(path, target);
      return;
    }
    const { mode, uid, gid, size, linkname: link, devmajor, devminor } = entry;
    const isChanged = entry.type === "file" && !this.#isSame(path, entry, reader);
    const type = TYPES[entry.type] ?? 0;
    this.entries.set(path, { type, mode, uid, gid, size, link, device: [devmajor, devminor], isChanged });
  }

  /** The folders on the way, from the lowest up. */
  #imply(path: string): void {
    for (
      let at = path;
      at !== "" && !this.implied.has(at);
      at = at.slice(0, Math.max(0, at.lastIndexOf("/")))
    ) {
      this.implied.add(at);
    }
  }

  /** What is no folder takes the place of a folder with all that is in it. */
  #replace(path: string): void {
    if (this.entries.get(path)?.type !== S_IFDIR && !this.implied.has(path)) return;
    for (const other of [...this.entries.keys()]) {
      if (other.startsWith(`${path}/`)) this.entries.delete(other);
    }
    for (const other of [...this.implied]) {
      if (other === path || other.startsWith(`${path}/`)) this.implied.delete(other);
    }
  }

  /** A file that cannot be opened counts as the same here: the comparison of the tree tells what it is. */
  #isSame(path: string, entry: TarEntry, reader: TarReader): boolean {
    const fd = this.#tryOpen(path);
    if (fd === undefined) return true;
    let isSame = true;
    try {
      for (let piece = reader.read(); piece !== null; piece = reader.read()) {
        for (let done = 0; isSame && done < piece.length;) {
          const wanted = this.#buffer.subarray(0, Math.min(this.#buffer.length, piece.length - done));
          const length = pread(fd, wanted, reader.fileOffset + done);
          isSame = length > 0 && equal(wanted, piece, done, length);
          done += length;
        }
      }
    } finally {
      close(fd);
    }
    return isSame || entry.size === 0;
  }

  #tryOpen(path: string): number | undefined {
    try {
      const flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC;
      const fd = openat2(
        this.#root,
        bytesOf(path),
        flags | O_NONBLOCK,
        RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
      );
      if ((statx(fd, "", AT_EMPTY_PATH).mode & S_IFMT) === S_IFREG) return fd;
      close(fd);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
    }
  }
}

/** A fifo in a file's place must not be waited for. @see open(2) */
const O_NONBLOCK = 0o4000;

const NOTHING: Expected = {
  type: 0,
  mode: 0,
  uid: 0,
  gid: 0,
  size: 0,
  link: "",
  device: [0, 0],
  isChanged: false,
};

function pieceOf(source: ByteSource, buffer: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | null {
  const length = readFully(source, buffer);
  return length === 0 ? null : buffer.subarray(0, length);
}

function equal(read: Uint8Array, piece: Uint8Array, offset: number, length: number): boolean {
  for (let at = 0; at < length; at++) if (read[at] !== piece[offset + at]) return false;
  return true;
}

class TreeComparer {
  readonly #expected: ExpectedTree;
  readonly #tell: (path: string, what: string) => void;
  readonly #seen = new Set<string>();
  /** With a single id every file is the user's. */
  readonly #hasOwners: boolean;

  constructor(expected: ExpectedTree, form: string, tell: (path: string, what: string) => void) {
    this.#expected = expected;
    this.#tell = tell;
    this.#hasOwners = !form.startsWith("single");
  }

  compare(root: number): void {
    const own = this.#expected.entries.get("");
    if (own !== undefined) this.#entry("", own, statx(root, "", AT_EMPTY_PATH));
    this.#folder(root, "");
    for (const path of this.#expected.entries.keys()) {
      if (path !== "" && !this.#seen.has(path)) this.#tell(path, "it is missing");
    }
  }

  #folder(fd: number, parent: string): void {
    for (const { name } of readdir(fd)) {
      const base = byteString(name, 0, name.length);
      const path = parent === "" ? base : `${parent}/${base}`;
      this.#seen.add(path);
      const stat = statx(fd, name, AT_SYMLINK_NOFOLLOW);
      const entry = this.#expected.entries.get(path);
      const isFolder = (stat.mode & S_IFMT) === S_IFDIR;
      if (entry === undefined && !(isFolder && this.#expected.implied.has(path))) {
        this.#tell(path, "it was added");
        continue;
      }
      if (entry !== undefined && !this.#entry(path, entry, stat, () => readlinkat(fd, name))) continue;
      if (isFolder) this.#below(fd, name, path);
    }
  }

  #below(fd: number, name: Uint8Array<ArrayBuffer>, path: string): void {
    let child: number;
    try {
      child = openat(fd, name, FOLDER);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      return this.#tell(path, `it cannot be opened: ${errnoText(error.errno)}`);
    }
    try {
      this.#folder(child, path);
    } finally {
      close(child);
    }
  }

  /** Whether it is of the right kind. */
  #entry(path: string, entry: Expected, stat: Stat, readLink?: () => Uint8Array): boolean {
    const type = stat.mode & S_IFMT;
    if (type !== entry.type) {
      this.#tell(path, "it is of another kind");
      return false;
    }
    if (type === S_IFLNK && readLink !== undefined) {
      const target = readLink();
      const link = byteString(target, 0, target.length);
      if (link !== entry.link) this.#tell(path, `it points at ${displayName(link)}`);
    } else if (type === S_IFCHR || type === S_IFBLK) {
      const [major, minor] = entry.device;
      if (stat.rdevMajor !== major || stat.rdevMinor !== minor) this.#tell(path, "it is another device");
      // a whiteout has no owner and no mode
      if (major === 0 && minor === 0) return true;
    }
    if (type === S_IFREG && stat.size !== entry.size) {
      this.#tell(path, `it has ${stat.size} bytes instead of ${entry.size}`);
    } else if (entry.isChanged) this.#tell(path, "its content was changed");
    const mode = stat.mode & 0o7777;
    if (type !== S_IFLNK && mode !== entry.mode) {
      this.#tell(path, `its mode is ${octal(mode)}, not ${octal(entry.mode)}`);
    }
    if (this.#hasOwners && (stat.uid !== entry.uid || stat.gid !== entry.gid)) {
      this.#tell(path, `its owner is ${stat.uid}:${stat.gid}, not ${entry.uid}:${entry.gid}`);
    }
    return true;
  }
}

function octal(mode: number): string {
  return `0${mode.toString(8).padStart(3, "0")}`;
}

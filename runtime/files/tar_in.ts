/**
 * Unpacks a tar archive into a folder of a container's root: `cp - CONTAINER:PATH`. Names are resolved inside the
 * root step by step, links of the container count as the container's (as docker and podman do), `..` climbs nowhere.
 * gzip and zstd are inflated by this process: no program of host or container is run (CVE-2019-14271).
 */

import { bytesOf, displayName } from "../archive/byte_string.ts";
import { type ByteSource, chunksOf } from "../archive/chunks.ts";
import { GunzipSource, GzipError } from "../archive/gzip.ts";
import { type TarEntry, TarError, TarReader } from "../archive/tar.ts";
import { ZstdError, ZstdSource } from "../archive/zstd.ts";
import { InvalidArgumentError, UnsupportedError, VerificationError } from "../errors.ts";
import { ensureFolderInRoot, openInRoot, type Owner } from "../rootfs/in_root.ts";
import { checkIds, checkXattrs, setTimes, setXattrs } from "../storage/entry_metadata.ts";
import { EAGAIN, EBUSY, ENOENT, EPERM, isErrno } from "../../ffi/errno.ts";
import {
  close,
  fchmod,
  fchownat,
  Fd,
  ftruncate,
  linkat,
  mkdirat,
  mknodat,
  openat,
  pwrite,
  read,
  symlinkat,
  write,
} from "../../ffi/file.ts";
import { pollBlocking } from "../../ffi/poll.ts";
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
} from "../../ffi/constants/fcntl.ts";
import { POLLIN } from "../../ffi/constants/poll.ts";
import { S_IFBLK, S_IFCHR, S_IFIFO } from "../../ffi/constants/stat.ts";
import { OPEN_FOLDER, type Skipped } from "./copy_entries.ts";
import { makeRoom, type RoomRules } from "./make_room.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const EMPTY = new Uint8Array();

export interface TarInRules extends RoomRules {
  /** Who shall own what the archive gives these ids; `path` is clean, below the target, a byte string. */
  owner(ids: { uid: number; gid: number }, path?: string): Owner;
  makeDevices: boolean;
  /** Inflates what this process cannot, from the beginning of `fd`. */
  openPacked?(name: "xz" | "bzip2", fd: number): ByteSource;
  /** An archive that is longer, unpacked, is refused. */
  limitBytes?: number;
  /** An entry "./" says what the target itself is like. */
  appliesRoot?: boolean;
  /** Said where there is no archive. */
  noArchive?: string;
}

const NO_ARCHIVE = "source must be a (compressed) tar archive when copying from stdin";

/** Magic numbers at the beginning of what may be compressed, as hex. */
const COMPRESSIONS: readonly (
  | { magic: string; open: (source: ByteSource) => ByteSource }
  | { magic: string; name: "xz" | "bzip2" }
)[] = [
  { magic: "1f8b", open: (source) => new GunzipSource(source) },
  { magic: "28b52ffd", open: (source) => new ZstdSource(source) },
  { magic: "fd377a585a00", name: "xz" },
  { magic: "425a68", name: "bzip2" },
];

/** Reads the archive from `fd` to its end and unpacks it into the folder `target` (an absolute path) of the root. */
export function unpackTar(fd: number, root: number, target: string, rules: TarInRules): Skipped {
  const unpacker = new TarUnpacker(root, target, rules);
  try {
    const archive = openArchive(fd, rules.openPacked);
    const reader = new TarReader(chunksOf(limited(archive, rules.limitBytes ?? Infinity)));
    let count = 0;
    for (let entry = reader.next(); entry !== null; entry = reader.next(), count++) {
      unpacker.apply(entry, reader);
    }
    if (count === 0) throw new InvalidArgumentError(rules.noArchive ?? NO_ARCHIVE);
    unpacker.finish();
  } catch (error) {
    if (error instanceof TarError || error instanceof GzipError || error instanceof ZstdError) {
      if (unpacker.count === 0) {
        throw new InvalidArgumentError(rules.noArchive ?? NO_ARCHIVE, { cause: error });
      }
      throw new VerificationError(`unpack archive: ${error.message}`, { cause: error });
    }
    throw error;
  }
  return unpacker.skipped;
}

/** Whether it is an archive, packed or not, with at least one member. Reads from the descriptor's offset on. */
export function isArchive(fd: number, openPacked?: TarInRules["openPacked"]): boolean {
  try {
    return new TarReader(chunksOf(openArchive(fd, openPacked), 1 << 13)).next() !== null;
  } catch (error) {
    if (error instanceof TarError || error instanceof GzipError || error instanceof ZstdError) return false;
    throw error;
  }
}

function limited(source: ByteSource, limitBytes: number): ByteSource {
  let total = 0;
  return {
    read(into) {
      const length = source.read(into);
      total += length;
      if (total > limitBytes) {
        throw new VerificationError(
          `unpack archive: it unpacks to more than the limit of ${limitBytes} bytes`,
        );
      }
      return length;
    },
  };
}

function openArchive(fd: number, openPacked: TarInRules["openPacked"]): ByteSource {
  const raw = new DescriptorSource(fd);
  const start = raw.peek(6);
  const hex = [...start].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const found = COMPRESSIONS.find(({ magic }) => hex.startsWith(magic));
  if (found === undefined) return raw;
  if ("open" in found) return found.open(raw);
  if (openPacked !== undefined) return openPacked(found.name, fd);
  throw new UnsupportedError(`unpack archive: it is compressed with ${found.name}`, {
    hint: `decompress it first: ${found.name} -dc FILE | skiff cp - CONTAINER:PATH`,
  });
}

/** Bytes of a descriptor, whose beginning can be looked at first. */
class DescriptorSource implements ByteSource {
  readonly #fd: number;
  #kept: Bytes = new Uint8Array();

  constructor(fd: number) {
    this.#fd = fd;
  }

  peek(count: number): Bytes {
    const bytes = new Uint8Array(count);
    let filled = 0;
    while (filled < count) {
      const length = this.#read(bytes.subarray(filled));
      if (length === 0) break;
      filled += length;
    }
    return this.#kept = bytes.subarray(0, filled);
  }

  read(into: Bytes): number {
    if (this.#kept.length === 0) return this.#read(into);
    const length = Math.min(into.length, this.#kept.length);
    into.set(this.#kept.subarray(0, length));
    this.#kept = this.#kept.subarray(length);
    return length;
  }

  #read(into: Bytes): number {
    for (;;) {
      try {
        return read(this.#fd, into);
      } catch (error) {
        if (!isErrno(error, EAGAIN)) throw error;
        pollBlocking(this.#fd, POLLIN, -1);
      }
    }
  }
}

class TarUnpacker {
  readonly skipped: Skipped = { count: 0, examples: [] };
  count = 0;
  readonly #root: number;
  readonly #target: string;
  readonly #rules: TarInRules;
  /** The folder of the entry before: archives go folder by folder. */
  #parent: { path: string; fd: number } | undefined;
  /** Attributes of folders wait for the end: entries still to come change their times. */
  readonly #folders = new Map<string, TarEntry>();

  constructor(root: number, target: string, rules: TarInRules) {
    this.#root = root;
    this.#target = target;
    this.#rules = rules;
  }

  apply(entry: TarEntry, reader: TarReader): void {
    this.count++;
    checkIds(entry);
    if (entry.xattrs !== undefined) checkXattrs(entry);
    const parts = cleanParts(entry.name);
    if (parts.length === 0) {
      // "./" names the target itself
      if (entry.type === "directory") return void (this.#rules.appliesRoot && this.#folders.set("", entry));
      throw new VerificationError(`unpack archive: an entry without a name`);
    }
    const name = bytesOf(parts.at(-1)!);
    const parent = this.#folder(parts.slice(0, -1));
    switch (entry.type) {
      case "directory":
        this.#place(parent, name, true, () => mkdirat(parent, name, 0o700));
        this.#folders.set(parts.join("/"), entry);
        return;
      case "file":
        return this.#file(entry, reader, parent, name);
      case "symlink":
        this.#place(parent, name, false, () => symlinkat(bytesOf(entry.linkname), parent, name));
        return this.#node(entry, parent, name);
      case "hardlink":
        return this.#hardLink(entry, parent, name);
      case "fifo":
        this.#place(parent, name, false, () => mknodat(parent, name, S_IFIFO | entry.mode));
        return this.#node(entry, parent, name);
      case "char":
      case "block": {
        if (!this.#rules.makeDevices) return this.#skip(entry, "a device");
        const type = entry.type === "char" ? S_IFCHR : S_IFBLK;
        const { devmajor, devminor } = entry;
        this.#place(parent, name, false, () => mknodat(parent, name, type | entry.mode, devmajor, devminor));
        return this.#node(entry, parent, name);
      }
      default:
        this.#skip(entry, `of unknown type ${JSON.stringify(entry.typeflag)}`);
    }
  }

  /** Gives folders what waited for the end, the deepest first. */
  finish(): void {
    for (const [path, entry] of [...this.#folders].reverse()) {
      if (path === "") continue;
      const parts = path.split("/");
      const parent = this.#folder(parts.slice(0, -1));
      let fd: number;
      try {
        fd = openat(parent, bytesOf(parts.at(-1)!), OPEN_FOLDER);
      } catch {
        continue; // a later entry took its place
      }
      using folder = new Fd(fd);
      this.#attributes(folder.number, entry);
      setTimes(folder.number, EMPTY, entry);
    }
    this.#forget();
    const own = this.#folders.get("");
    if (own === undefined) return;
    using root = new Fd(openInRoot(this.#root, this.#target, O_RDONLY | O_DIRECTORY));
    this.#attributes(root.number, own);
    setTimes(root.number, EMPTY, own);
  }

  #file(entry: TarEntry, reader: TarReader, parent: number, name: Bytes): void {
    using file = new Fd(this.#createFile(parent, name));
    for (let piece = reader.read(); piece !== null; piece = reader.read()) {
      for (let done = 0; done < piece.length;) {
        const rest = done === 0 ? piece : piece.subarray(done);
        done += entry.sparse === undefined
          ? write(file.number, rest)
          : pwrite(file.number, rest, reader.fileOffset + done);
      }
    }
    if (entry.sparse !== undefined) ftruncate(file.number, entry.size);
    this.#attributes(file.number, entry);
    setTimes(file.number, EMPTY, entry);
  }

  #createFile(parent: number, name: Bytes): number {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    let fd = -1;
    try {
      this.#place(parent, name, false, () => fd = openat(parent, name, flags, 0o600));
      return fd;
    } catch (error) {
      if (!isErrno(error, EBUSY)) throw error;
      // A file that is mounted there, such as /etc/hosts, is written in its place.
      return openat(parent, name, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }
  }

  #hardLink(entry: TarEntry, parent: number, name: Bytes): void {
    const parts = cleanParts(entry.linkname);
    const last = parts.pop();
    if (last === undefined) throw new VerificationError(`unpack archive: a hard link to the folder itself`);
    const from = new Fd(this.#open(parts));
    try {
      this.#place(parent, name, false, () => linkat(from.number, bytesOf(last), parent, name));
    } catch (error) {
      if (!isErrno(error, ENOENT, EPERM)) throw error;
      throw new VerificationError(
        `unpack archive entry "${displayName(entry.name)}": its target ${
          displayName(entry.linkname)
        } cannot be linked`,
      );
    } finally {
      from[Symbol.dispose]();
    }
  }

  /** In the order that loses nothing: chown clears modes and capabilities. */
  #attributes(fd: number, entry: TarEntry): void {
    const { uid, gid } = this.#rules.owner(entry, cleanParts(entry.name).join("/"));
    fchownat(fd, "", uid, gid, AT_EMPTY_PATH);
    fchmod(fd, entry.mode);
    if (entry.xattrs !== undefined) setXattrs(fd, entry);
  }

  #node(entry: TarEntry, parent: number, name: Bytes): void {
    const { uid, gid } = this.#rules.owner(entry, cleanParts(entry.name).join("/"));
    fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW);
    setTimes(parent, name, entry);
  }

  #place(parent: number, name: Bytes, isFolder: boolean, create: () => void): void {
    makeRoom(parent, name, isFolder, this.#rules, create);
  }

  /** The folder that these parts lead to from the target, made where it is missing; it stays this object's. */
  #folder(parts: string[]): number {
    const path = parts.join("/");
    // A link may have taken the place of a folder on the way, so only the same path again is taken from here.
    if (this.#parent?.path === path) return this.#parent.fd;
    this.#forget();
    const fd = this.#open(parts);
    this.#parent = { path, fd };
    return fd;
  }

  #open(parts: string[]): number {
    if (parts.length === 0) return openInRoot(this.#root, this.#target, O_PATH | O_DIRECTORY);
    const path = `${this.#target}/${textOf(parts.join("/"))}`;
    return ensureFolderInRoot(this.#root, path, 0o755, this.#rules.owner({ uid: 0, gid: 0 }));
  }

  #forget(): void {
    if (this.#parent !== undefined) close(this.#parent.fd);
    this.#parent = undefined;
  }

  #skip(entry: TarEntry, reason: string): void {
    if (this.skipped.count++ < 3) this.skipped.examples.push(`${displayName(entry.name)} (${reason})`);
  }
}

function textOf(name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytesOf(name));
  } catch (cause) {
    throw new VerificationError(`unpack archive: the folder name "${displayName(name)}" is no UTF-8`, {
      cause,
    });
  }
}

/** `/a/../../b//./c` is `b/c`: nothing climbs above the beginning. */
function cleanParts(name: string): string[] {
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return parts;
}

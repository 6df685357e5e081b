/**
 * Unpacks a layer into a folder, by descriptors only: nothing here resolves a path from the archive other
 * than below the root's descriptor. Synchronous, for forked children; the caller has set umask 0.
 *
 * Order within an entry: create, data, owner (clears setuid and capabilities), mode, attributes, times.
 * Folders get mode, owner and times at the very end: entries still to come change a folder's times, and
 * would inherit its group or default ACL.
 *
 * @see OCI image-spec layer.md; Linux Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories"
 */

import { bytesOf, displayName } from "../archive/byte_string.ts";
import type { ChunkSource } from "../archive/chunks.ts";
import { type TarEntry, TarError, TarReader } from "../archive/tar.ts";
import { HostError, VerificationError } from "../errors.ts";
import {
  close,
  fchmod,
  ftruncate,
  linkat,
  mkdirat,
  mknodat,
  openat,
  pwrite,
  statx,
  symlinkat,
  utimensat,
  write,
} from "../../ffi/file.ts";
import { fsetxattr } from "../../ffi/xattr.ts";
import {
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
} from "../../ffi/constants/fcntl.ts";
import { EEXIST, ENAMETOOLONG, ENOENT, EPERM, errnoText, isErrno, SyscallError } from "../../ffi/errno.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT } from "../../ffi/constants/stat.ts";
import {
  checkIds,
  checkXattrs,
  DEFAULT_ACL,
  setModeOfNode,
  setOwner,
  setTimes,
  setXattrs,
  setXattrsByName,
} from "./entry_metadata.ts";
import { cleanPath, climbsOut, LayerNames, refuse } from "./layer_names.ts";
import { IMPLIED_ROOT_MTIME } from "./layers.ts";
import type { OwnerRecorder } from "./owners.ts";
import { ParentFolders } from "./parent_folders.ts";
import { removeTree } from "./remove_tree.ts";

export interface ExtractOptions {
  /** `user.` in a user namespace (overlay's userxattr), `trusted.` for root. */
  overlayXattrs: "user." | "trusted.";
  /** Absent: owners are set. Present: every file stays the caller's, and owners are written down. */
  owners?: OwnerRecorder;
  /** Devices are left out in a user namespace, where mknod(2) refuses them; podman does the same. */
  makeDevices: boolean;
  /** More entries than this are refused. */
  maxEntries: number;
}

export interface ExtractSummary {
  entries: number;
  /** Devices that could not be made. */
  skippedDevices: number;
}

/** Folder metadata that waits for the end. */
type PendingFolder = TarEntry;

const OPAQUE_VALUE = new Uint8Array([0x79]); // "y"

/**
 * Unpacks all of the archive below `rootFd`.
 *
 * @throws {VerificationError} for an archive that is damaged or tries what a layer must not
 * @throws {SyscallError} where the file system refuses (full, too large, …)
 */
export function extractTar(chunks: ChunkSource, rootFd: number, options: ExtractOptions): ExtractSummary {
  const reader = new TarReader(chunks);
  const summary: ExtractSummary = { entries: 0, skippedDevices: 0 };
  using extractor = new LayerExtractor(rootFd, reader, options, summary);
  try {
    for (let entry = reader.next(); entry !== null; entry = reader.next()) {
      if (++summary.entries > options.maxEntries) {
        throw new VerificationError(`unpack layer: more than ${options.maxEntries} entries`);
      }
      extractor.apply(entry);
    }
    extractor.finishFolders();
  } catch (error) {
    if (error instanceof TarError) {
      throw new VerificationError(`unpack layer: ${error.message}`, { cause: error });
    }
    throw error;
  }
  return summary;
}

class LayerExtractor implements Disposable {
  #reader: TarReader;
  #options: ExtractOptions;
  #summary: ExtractSummary;
  #folders: ParentFolders;
  #names = new LayerNames();
  /** By clean path. */
  #pending = new Map<string, PendingFolder>();
  #opaqueName: Uint8Array<ArrayBuffer>;
  /** Something was replaced, so that open folders may no longer be what their paths say. */
  #stale = false;

  constructor(rootFd: number, reader: TarReader, options: ExtractOptions, summary: ExtractSummary) {
    this.#reader = reader;
    this.#options = options;
    this.#summary = summary;
    this.#folders = new ParentFolders(rootFd);
    this.#opaqueName = bytesOf(`${options.overlayXattrs}overlay.opaque`);
  }

  [Symbol.dispose](): void {
    this.#folders[Symbol.dispose]();
  }

  apply(entry: TarEntry): void {
    this.#forgetIfStale();
    const name = this.#names.classify(entry.name, entry.type === "directory");
    switch (name.kind) {
      case "ignored":
        return;
      case "opaque":
        return this.#markOpaque(this.#folders.get(name.path), ".");
      case "whiteout":
        return this.#whiteout(name.parent, name.base);
      case "root":
        if (entry.type !== "directory") refuse(entry.name, "the root is no folder");
        break;
    }
    checkIds(entry);
    if (entry.xattrs !== undefined) checkXattrs(entry);
    this.#options.owners?.add(name.path, entry.uid, entry.gid);
    if (name.kind === "root") {
      this.#pending.set("", entry);
      if (entry.xattrs !== undefined) this.#folderXattrs(this.#folders.root, ".", entry);
      return;
    }
    const parent = this.#folders.get(name.parent);
    const base = bytesOf(name.base);
    try {
      this.#create(entry, name.parent, name.path, parent, base);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      if (error.errno === ENAMETOOLONG) refuse(entry.name, "its name is too long for this file system");
      throw new HostError(
        `unpack layer entry "${displayName(entry.name)}": ${error.syscall}: ${errnoText(error.errno)}`,
        { cause: error },
      );
    }
  }

  /** Gives folders what waited for the end. */
  finishFolders(): void {
    this.#forgetIfStale();
    if (!this.#pending.has("")) {
      const implied = { sec: IMPLIED_ROOT_MTIME, nsec: 0 };
      utimensat(this.#folders.root, ".", implied, implied);
    }
    for (const [path, entry] of this.#pending) {
      const fd = this.#openFolder(this.#folders.get(path), ".");
      try {
        if (this.#options.owners === undefined) setOwner(fd, EMPTY, entry);
        fchmod(fd, entry.mode);
        if (entry.xattrs !== undefined) setXattrs(fd, entry);
        setTimes(fd, EMPTY, entry);
      } finally {
        close(fd);
      }
    }
  }

  #forgetIfStale(): void {
    if (this.#stale) this.#folders.forget();
    this.#stale = false;
  }

  #create(
    entry: TarEntry,
    parentPath: string,
    path: string,
    parent: number,
    base: Uint8Array<ArrayBuffer>,
  ): void {
    switch (entry.type) {
      case "directory":
        return this.#directory(entry, path, parent, base);
      case "file":
        return this.#file(entry, path, parent, base);
      case "symlink":
        if (entry.linkname === "") refuse(entry.name, "a symlink without target");
        if (climbsOut(parentPath, entry.linkname)) {
          refuse(entry.name, `its target ${displayName(entry.linkname)} climbs out of the root`);
        }
        this.#place(path, parent, base, () => symlinkat(bytesOf(entry.linkname), parent, base));
        return this.#node(entry, parent, base, false);
      case "hardlink":
        return this.#hardLink(entry, parentPath, path, base);
      case "fifo":
        this.#place(path, parent, base, () => mknodat(parent, base, S_IFIFO | 0o600));
        return this.#node(entry, parent, base, true);
      case "char":
      case "block":
        return this.#device(entry, path, parent, base);
      default:
        refuse(entry.name, `unknown type ${JSON.stringify(entry.typeflag)}`);
    }
  }

  #file(entry: TarEntry, path: string, parent: number, base: Uint8Array<ArrayBuffer>): void {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const setOwners = this.#options.owners === undefined && (entry.uid !== 0 || entry.gid !== 0);
    // With umask 0 the mode given here is the final one, unless a chown is to clear parts of it.
    const early = !setOwners && (entry.mode & 0o7000) === 0;
    const mode = early ? entry.mode : 0o600;
    let fd = -1;
    this.#place(path, parent, base, () => fd = openat(parent, base, flags, mode));
    try {
      this.#data(entry, fd);
      if (setOwners) setOwner(fd, EMPTY, entry);
      if (!early) fchmod(fd, entry.mode);
      if (entry.xattrs !== undefined) setXattrs(fd, entry);
      setTimes(parent, base, entry);
    } finally {
      close(fd);
    }
  }

  #data(entry: TarEntry, fd: number): void {
    const reader = this.#reader;
    for (let piece = reader.read(); piece !== null; piece = reader.read()) {
      if (entry.sparse === undefined) {
        for (let done = 0; done < piece.length;) {
          done += write(fd, done === 0 ? piece : piece.subarray(done));
        }
      } else {
        for (let done = 0; done < piece.length;) {
          done += pwrite(fd, done === 0 ? piece : piece.subarray(done), reader.fileOffset + done);
        }
      }
    }
    if (entry.sparse !== undefined) ftruncate(fd, entry.size);
  }

  #directory(entry: TarEntry, path: string, parent: number, base: Uint8Array<ArrayBuffer>): void {
    const hidden = this.#place(path, parent, base, () => mkdirat(parent, base, 0o700), true);
    // A whiteout of the same name came first: what lower layers have there stays hidden.
    if (hidden) this.#markOpaque(parent, base);
    if (entry.xattrs !== undefined) this.#folderXattrs(parent, base, entry);
    this.#pending.set(path, entry);
  }

  #hardLink(entry: TarEntry, parentPath: string, path: string, base: Uint8Array<ArrayBuffer>): void {
    const target = cleanLinkTarget(entry);
    if (target === path) refuse(entry.name, "a hard link to itself");
    const slash = target.lastIndexOf("/");
    const folder = slash === -1 ? "" : target.slice(0, slash);
    // Held apart from the parent's descriptor, which the next lookup may close.
    const from = this.#openFolder(this.#folders.get(folder), ".");
    try {
      const to = this.#folders.get(parentPath);
      this.#place(path, to, base, () => linkat(from, bytesOf(target.slice(slash + 1)), to, base));
    } catch (error) {
      if (isErrno(error, ENOENT)) {
        refuse(entry.name, `its target ${displayName(entry.linkname)} is not in the layer`);
      }
      if (isErrno(error, EPERM)) {
        refuse(entry.name, `its target ${displayName(entry.linkname)} cannot be linked`);
      }
      throw error;
    } finally {
      close(from);
    }
  }

  #device(entry: TarEntry, path: string, parent: number, base: Uint8Array<ArrayBuffer>): void {
    if (!this.#options.makeDevices) {
      this.#summary.skippedDevices++;
      return;
    }
    const type = entry.type === "char" ? S_IFCHR : S_IFBLK;
    this.#place(
      path,
      parent,
      base,
      () => mknodat(parent, base, type | 0o600, entry.devmajor, entry.devminor),
    );
    this.#node(entry, parent, base, true);
  }

  /** Metadata of what is not opened. */
  #node(entry: TarEntry, parent: number, base: Uint8Array<ArrayBuffer>, hasMode: boolean): void {
    if (this.#options.owners === undefined) setOwner(parent, base, entry);
    if (hasMode) setModeOfNode(parent, base, entry.mode);
    if (entry.xattrs !== undefined) setXattrsByName(parent, base, entry);
    setTimes(parent, base, entry);
  }

  #whiteout(parentPath: string, hidden: string): void {
    const parent = this.#folders.get(parentPath);
    const base = bytesOf(hidden);
    try {
      mknodat(parent, base, S_IFCHR, 0, 0);
    } catch (error) {
      if (!isErrno(error, EEXIST)) throw error;
      // It hides lower layers only. A folder of this layer hides them by being opaque, a file does anyway.
      if (isFolder(parent, base)) this.#markOpaque(parent, base);
    }
  }

  /**
   * Creates an entry; where something of this archive is in its place, that goes first (but a folder
   * stays for a folder). Gives whether a whiteout had to make room.
   */
  #place(
    path: string,
    parent: number,
    base: Uint8Array<ArrayBuffer>,
    create: () => void,
    isDirectory = false,
  ): boolean {
    try {
      create();
      return false;
    } catch (error) {
      if (!isErrno(error, EEXIST)) throw error;
    }
    const stat = statx(parent, base, AT_SYMLINK_NOFOLLOW);
    const type = stat.mode & S_IFMT;
    if (isDirectory && type === S_IFDIR) return false;
    const wasWhiteout = type === S_IFCHR && stat.rdevMajor === 0 && stat.rdevMinor === 0;
    removeTree(parent, base);
    for (const folder of this.#pending.keys()) {
      if (folder === path || folder.startsWith(`${path}/`)) this.#pending.delete(folder);
    }
    create();
    this.#stale = true;
    return wasWhiteout;
  }

  #markOpaque(parent: number, name: Uint8Array<ArrayBuffer> | ".") {
    const fd = this.#openFolder(parent, name);
    try {
      fsetxattr(fd, this.#opaqueName, OPAQUE_VALUE);
    } finally {
      close(fd);
    }
  }

  #folderXattrs(parent: number, name: Uint8Array<ArrayBuffer> | ".", entry: TarEntry): void {
    const fd = this.#openFolder(parent, name);
    try {
      setXattrs(fd, entry, (name) => name !== DEFAULT_ACL);
    } finally {
      close(fd);
    }
    // A default ACL waits with the rest: what is still to be unpacked would inherit it.
    const acl = entry.xattrs!.get(DEFAULT_ACL);
    entry.xattrs = acl === undefined ? undefined : new Map([[DEFAULT_ACL, acl]]);
  }

  #openFolder(parent: number, name: Uint8Array<ArrayBuffer> | "."): number {
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  }
}

const EMPTY = new Uint8Array();

/** A hard link names its target from the root, with or without a slash in front. */
function cleanLinkTarget(entry: TarEntry): string {
  const target = cleanPath(entry.linkname);
  if (target === "") refuse(entry.name, "a hard link to the root");
  return target;
}

function isFolder(parent: number, base: Uint8Array<ArrayBuffer>): boolean {
  return (statx(parent, base, AT_SYMLINK_NOFOLLOW).mode & S_IFMT) === S_IFDIR;
}

/**
 * The folders of a tree that is being unpacked, open, by their path in the archive.
 *
 * A path is resolved by openat2(2) with RESOLVE_IN_ROOT: a symlink that the archive made earlier is followed
 * as it would be in the container, and can never lead out of it.
 */

import { bytesOf } from "../archive/byte_string.ts";
import { close, mkdirat, openat2 } from "../../ffi/file.ts";
import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_XDEV,
} from "../../ffi/constants/fcntl.ts";
import { EEXIST, ELOOP, ENOENT, ENOTDIR, isErrno } from "../../ffi/errno.ts";
import { refuse } from "./layer_names.ts";

const RESOLVE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
/** Archives list a folder's files together, so few open folders serve nearly every entry. */
const MAX_OPEN = 128;
/** What containers/storage and docker give folders that entries imply but the archive lacks. */
const IMPLIED_MODE = 0o755;

export class ParentFolders implements Disposable {
  readonly root: number;
  #open = new Map<string, number>();
  #lastPath = "";
  #lastFd: number;

  constructor(root: number) {
    this.root = root;
    this.#lastFd = root;
  }

  /** An O_PATH descriptor of the folder, valid until the next call; made with its parents where missing. */
  get(path: string): number {
    if (path === this.#lastPath) return this.#lastFd;
    if (path === "") return this.root;
    let fd = this.#open.get(path);
    if (fd === undefined) {
      fd = this.#resolve(path);
      if (this.#open.size >= MAX_OPEN) this.forget();
      this.#open.set(path, fd);
    }
    this.#lastPath = path;
    this.#lastFd = fd;
    return fd;
  }

  /** Drops what is open: after an entry was replaced, a path may mean another folder. */
  forget(): void {
    for (const fd of this.#open.values()) close(fd);
    this.#open.clear();
    this.#lastPath = "";
    this.#lastFd = this.root;
  }

  [Symbol.dispose](): void {
    this.forget();
  }

  #resolve(path: string): number {
    try {
      return this.#openat2(path);
    } catch (error) {
      if (isErrno(error, ENOTDIR, ELOOP)) refuse(path, "it is no folder, but entries lie below it");
      if (!isErrno(error, ENOENT)) throw error;
    }
    const slash = path.lastIndexOf("/");
    const parent = this.get(slash === -1 ? "" : path.slice(0, slash));
    try {
      mkdirat(parent, bytesOf(path.slice(slash + 1)), IMPLIED_MODE);
    } catch (error) {
      if (!isErrno(error, EEXIST)) throw error;
    }
    try {
      return this.#openat2(path);
    } catch (error) {
      // A symlink stands there whose target is not in the layer.
      if (isErrno(error, ENOENT, ENOTDIR, ELOOP)) refuse(path, "it is no folder, but entries lie below it");
      throw error;
    }
  }

  #openat2(path: string): number {
    return openat2(this.root, bytesOf(path), O_PATH | O_DIRECTORY | O_CLOEXEC, RESOLVE);
  }
}

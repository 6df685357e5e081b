/**
 * Owners where only one id is mapped: every file is root's, and whose it should be is written down beside the layer.
 * Synchronous, for forked children.
 */

import { bytesOf } from "../../archive/byte_string.ts";
import type { Owner } from "../../rootfs/in_root.ts";
import { ownersFile } from "../../storage/layers.ts";
import { OwnerRecorder, parseOwners } from "../../storage/owners.ts";
import { Fd, open, readAll, tryOpenat2 } from "../../../ffi/file.ts";
import { ELOOP, ENOENT, isErrno } from "../../../ffi/errno.ts";
import {
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  RESOLVE_NO_SYMLINKS,
} from "../../../ffi/constants/fcntl.ts";

const LIMIT_BYTES = 1 << 30;

/** Gives files the owners that they can have, and writes down the others. */
export class Owners implements Disposable {
  readonly #recorder: OwnerRecorder | undefined;

  /** Without a file every owner can be given. */
  constructor(path: string | undefined) {
    if (path === undefined) return;
    this.#recorder = new OwnerRecorder(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600));
  }

  /** The owner that the file at `path` below the root (a byte string) gets. */
  of(path: string, owner: Owner): Owner {
    if (this.#recorder === undefined) return { uid: owner.uid, gid: owner.gid };
    // it may take the place of what belonged to somebody else
    this.#recorder.add(path, owner.uid, owner.gid, true);
    return { uid: 0, gid: 0 };
  }

  [Symbol.dispose](): void {
    this.#recorder?.flush();
  }
}

const known = new Map<string, Map<string, Owner>>();

/** Whose a file of these layers (the topmost first) is said to be; undefined where nothing is written down. */
export function recordedOwner(layers: readonly string[], path: string): Owner | undefined {
  for (const layer of layers) {
    using folder = new Fd(open(layer, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (isThere(folder.number, path)) return ownersOf(layer).get(path);
  }
}

/** Whether the layer itself has it: where it has a link on the way, what lies behind is not seen through the layers. */
function isThere(folder: number, path: string): boolean {
  if (path === "") return false;
  try {
    const flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    const found = tryOpenat2(folder, bytesOf(path), flags, RESOLVE_NO_SYMLINKS);
    if (found !== undefined) new Fd(found)[Symbol.dispose]();
    return found !== undefined;
  } catch (error) {
    if (isErrno(error, ELOOP)) return false;
    throw error;
  }
}

function ownersOf(layer: string): Map<string, Owner> {
  let owners = known.get(layer);
  if (owners === undefined) known.set(layer, owners = readOwners(ownersFile(layer)));
  return owners;
}

function readOwners(path: string): Map<string, Owner> {
  try {
    using file = new Fd(open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    return parseOwners(readAll(file.number, LIMIT_BYTES));
  } catch (error) {
    if (isErrno(error, ENOENT)) return new Map();
    throw error;
  }
}

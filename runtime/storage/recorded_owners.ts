/**
 * Whose files are said to be where only one id is mapped: read from what is written down beside layers (owners.ts).
 * Synchronous, for forked children.
 */

import { bytesOf } from "../archive/byte_string.ts";
import { ELOOP, ENOENT, isErrno } from "../../ffi/errno.ts";
import { Fd, open, readAll, tryOpenat2 } from "../../ffi/file.ts";
import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  RESOLVE_NO_SYMLINKS,
} from "../../ffi/constants/fcntl.ts";
import type { Owner } from "./capture_changes.ts";
import { ownersFile } from "./layers.ts";
import { parseOwners } from "./owners.ts";

const LIMIT_BYTES = 1 << 30;

const known = new Map<string, Map<string, Owner>>();

/** Whose a file of these layers (the topmost first) is said to be; undefined where nothing is written down. */
export function recordedOwner(layers: readonly string[], path: string): Owner | undefined {
  for (const layer of layers) {
    using folder = new Fd(open(layer, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (isThere(folder.number, path)) return ownersOf(layer).get(path);
  }
}

/** What is written down beside the tree at `tree`; each file is read once. */
export function ownersOf(tree: string): Map<string, Owner> {
  let owners = known.get(tree);
  if (owners === undefined) known.set(tree, owners = readOwners(ownersFile(tree)));
  return owners;
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

function readOwners(path: string): Map<string, Owner> {
  try {
    using file = new Fd(open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    return parseOwners(readAll(file.number, LIMIT_BYTES));
  } catch (error) {
    if (isErrno(error, ENOENT)) return new Map();
    throw error;
  }
}

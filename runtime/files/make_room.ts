/** What may take whose place when a tree is copied or unpacked over another. */

import { displayName } from "../archive/byte_string.ts";
import { EEXIST, isErrno } from "../../ffi/errno.ts";
import { statx, unlinkat } from "../../ffi/file.ts";
import { AT_SYMLINK_NOFOLLOW } from "../../ffi/constants/fcntl.ts";
import { S_IFDIR, S_IFMT } from "../../ffi/constants/stat.ts";
import { ConflictError } from "../errors.ts";
import { removeTree } from "../storage/remove_tree.ts";

export interface RoomRules {
  /** `--overwrite`: a folder may replace what is none, and the other way round. */
  overwrite: boolean;
  /** Says instead of cp's own words that it may not. */
  refusal?(name: Uint8Array, isFolder: boolean): Error;
}

/**
 * Calls `create`, which makes `name` in `folder`; what is in its place goes before. False where a folder is to be
 * made and is there: then it is kept, with what it holds.
 *
 * @throws {ConflictError} where a folder would replace something else or be replaced, without `overwrite`
 */
export function makeRoom(
  folder: number,
  name: Uint8Array<ArrayBuffer>,
  isFolder: boolean,
  rules: RoomRules,
  create: () => void,
): boolean {
  for (let attempt = 0;; attempt++) {
    try {
      create();
      return true;
    } catch (error) {
      // In a running container somebody may fill the room again and again.
      if (!isErrno(error, EEXIST) || attempt >= 8) throw error;
    }
    const isOther = (statx(folder, name, AT_SYMLINK_NOFOLLOW).mode & S_IFMT) !== S_IFDIR;
    if (isFolder && !isOther) return false;
    if (!isFolder && isOther) unlinkat(folder, name);
    else if (rules.overwrite) removeTree(folder, name);
    else throw rules.refusal?.(name, isFolder) ?? refusal(name, isFolder);
  }
}

function refusal(name: Uint8Array, isFolder: boolean): ConflictError {
  const shown = displayName(String.fromCharCode(...name));
  const rule = isFolder ? "a directory cannot replace a file" : "a file cannot replace a directory";
  return new ConflictError(`copy to "${shown}": ${rule}`, { hint: "use --overwrite to allow it" });
}

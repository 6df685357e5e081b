/**
 * Who holds a lazy layer's folder, and its removal, so that nobody who is about to serve a layer finds it gone.
 *
 * ```
 *  a start    shared lock ─▶ "is the layer whole?" ─▶ record ─▶ server, which inherits the lock and has it until it ends
 *  a removal  exclusive lock, only if the layer is whole; else nothing, as the last of the servers removes it
 * ```
 */

import { EAGAIN, ENOENT, isErrno } from "../../../ffi/errno.ts";
import {
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
} from "../../../ffi/constants/fcntl.ts";
import { Fd, flock, open } from "../../../ffi/file.ts";
import { openFamilies } from "../../../ffi/libc.ts";
import type { Folders } from "../../state/folders.ts";
import { lazyFolder, type LazyRecord, readLazyRecord } from "./records.ts";

/** A layer that stays while this is open, here or in a program that inherits it. */
export interface HeldLazyLayer extends Disposable {
  readonly fd: number;
  readonly record: LazyRecord;
}

/** @returns undefined where it is not here any more: the layer is whole, or no image has it */
export function holdLazyLayer(folders: Folders, key: string): HeldLazyLayer | undefined {
  const folder = lock(lazyFolder(folders, key), LOCK_SH);
  if (folder === undefined) return undefined;
  // whoever removes it takes its name away first: by the name it is found for as long as it is locked here
  const record = readLazyRecord(folders, key);
  if (record !== undefined) {
    return {
      fd: folder.number,
      record,
      [Symbol.dispose]: () => folder[Symbol.dispose](),
    };
  }
  folder[Symbol.dispose]();
  return undefined;
}

/** Removes what nobody needs of a layer that is whole; where it is held, its last holder does so. */
export function removeUnheldLayer(folders: Folders, key: string): void {
  using folder = lock(lazyFolder(folders, key), LOCK_EX);
  if (folder !== undefined) removeLazyLayer(folders, key);
}

/** Whoever still reads from it has its files open. */
export function removeLazyLayer(folders: Folders, key: string): void {
  // at once, so that nobody finds a part of it; what is killed here is finished as all removals are
  const trash = `${folders.tmp}/rm-${crypto.randomUUID()}`;
  try {
    Deno.renameSync(lazyFolder(folders, key), trash);
    Deno.removeSync(trash, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function lock(path: string, how: number): Fd | undefined {
  openFamilies("file");
  let folder: Fd | undefined;
  try {
    folder = new Fd(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    flock(folder.number, how | LOCK_NB);
    return folder;
  } catch (error) {
    folder?.[Symbol.dispose]();
    if (isErrno(error, ENOENT, EAGAIN)) return undefined;
    throw error;
  }
}

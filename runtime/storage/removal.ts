/** Removes trees that other ids of the user own, in a forked child that is root of the user's namespace. */

import { close, flock, open } from "../../ffi/file.ts";
import {
  AT_FDCWD,
  LOCK_EX,
  LOCK_NB,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
} from "../../ffi/constants/fcntl.ts";
import { EAGAIN, isErrno } from "../../ffi/errno.ts";
import { runInNamespace } from "./namespace_task.ts";
import { removeTree } from "./remove_tree.ts";
import { isSuspect, unsyncedMark } from "./unsynced.ts";
import type { StorageContext } from "./layers.ts";

/** Removes each of these folders with all below it. @throws {HostError} with the first failure's cause */
export async function removeInNamespace(
  context: Pick<StorageContext, "namespaces">,
  paths: readonly string[],
): Promise<void> {
  await runInNamespace(context, "remove", () => {
    let failure: { error: unknown } | undefined;
    for (const path of paths) {
      try {
        removeTree(AT_FDCWD, path);
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure !== undefined) throw failure.error;
  });
}

/** Work folders in `layersDir` whose child is gone, and layers that a crash of the machine made suspect. */
export function abandonedFolders(layersDir: string): string[] {
  const found: string[] = [];
  for (const { name } of Deno.readDirSync(layersDir)) {
    for (const form of Deno.readDirSync(`${layersDir}/${name}`)) {
      const path = `${layersDir}/${name}/${form.name}`;
      if (form.name.includes(".tmp-") && !isLocked(path)) found.push(path);
      const layer = path.slice(0, -unsyncedMark("").length);
      // The mark goes last: a layer without one is taken for whole.
      if (path === unsyncedMark(layer) && isSuspect(layer)) found.push(layer, path);
    }
  }
  return found;
}

function isLocked(path: string): boolean {
  let fd: number;
  try {
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  } catch {
    return true; // Gone, or not ours to judge.
  }
  try {
    flock(fd, LOCK_EX | LOCK_NB);
    return false;
  } catch (error) {
    if (isErrno(error, EAGAIN)) return true;
    throw error;
  } finally {
    close(fd);
  }
}

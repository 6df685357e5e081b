/** Removes trees that other ids of the user own, in a forked child that is root of the user's namespace. */

import { forkInUserNamespace } from "../namespaces/fork_task.ts";
import { HostError } from "../errors.ts";
import { openFamilies } from "../../ffi/libc.ts";
import { close, flock, open, pipe2, readAll, writeAll } from "../../ffi/file.ts";
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
import { removeTree } from "./remove_tree.ts";
import type { StorageContext } from "./layers.ts";

/** Removes each of these folders with all below it. @throws {HostError} with the first failure's cause */
export async function removeInNamespace(
  context: Pick<StorageContext, "namespaces">,
  paths: readonly string[],
): Promise<void> {
  openFamilies("errno", "file", "xattr", "process");
  const [result, resultFd] = pipe2(O_CLOEXEC);
  const task = await forkInUserNamespace(context.namespaces, [resultFd], () => {
    let status = 0;
    for (const path of paths) {
      try {
        removeTree(AT_FDCWD, path);
      } catch (error) {
        if (status === 0) {
          writeAll(resultFd, new TextEncoder().encode(`${path}: ${(error as Error).message}`));
        }
        status = 1;
      }
    }
    return status;
  }).finally(() => close(resultFd));
  const { status } = await task.wait();
  const message = new TextDecoder().decode(readAll(result, 65536));
  close(result);
  if (status !== 0) throw new HostError(`remove ${message || `${paths[0]}: status ${status}`}`);
}

/** Work folders in `layersDir` whose child is gone. */
export function abandonedFolders(layersDir: string): string[] {
  const found: string[] = [];
  for (const layer of Deno.readDirSync(layersDir)) {
    for (const form of Deno.readDirSync(`${layersDir}/${layer.name}`)) {
      const path = `${layersDir}/${layer.name}/${form.name}`;
      if (form.name.includes(".tmp-") && !isLocked(path)) found.push(path);
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

/** How many bytes trees hold, whoever of the user's ids owns them. */

import { forkInUserNamespace } from "../namespaces/fork_task.ts";
import { close, openat, pipe2, readAsync, readdir, statx, writeAll } from "../../ffi/file.ts";
import { openFamilies } from "../../ffi/libc.ts";
import { EACCES, ELOOP, ENOENT, ENOTDIR, isErrno } from "../../ffi/errno.ts";
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
} from "../../ffi/constants/fcntl.ts";
import type { StorageContext } from "./layers.ts";

/** @see readdir(3), d_type */
const DT_UNKNOWN = 0, DT_DIR = 4, DT_REG = 8, DT_LNK = 10;
const FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/**
 * The bytes of all files below each folder, in the order of `paths`; 0 where there is none. A file with several
 * names counts once, and what changes meanwhile as it is found. One child walks them all.
 */
export async function treeSizes(
  context: Pick<StorageContext, "namespaces">,
  paths: readonly string[],
): Promise<number[]> {
  if (paths.length === 0) return [];
  openFamilies("file", "process");
  const [result, resultFd] = pipe2(O_CLOEXEC);
  try {
    const task = await forkInUserNamespace(context.namespaces, [resultFd], () => {
      for (const path of paths) {
        const size = BigInt64Array.of(BigInt(treeSize(path)));
        writeAll(resultFd, new Uint8Array(size.buffer));
      }
      return 0;
    }).finally(() => close(resultFd));
    const bytes = new Uint8Array(paths.length * 8);
    for (let at = 0; at < bytes.length;) {
      const length = await readAsync(result, bytes.subarray(at));
      if (length === 0) break;
      at += length;
    }
    await task.wait();
    return Array.from(new BigInt64Array(bytes.buffer), Number);
  } finally {
    close(result);
  }
}

/** The same for one folder, in this process. */
export function treeSize(path: string): number {
  const links = new Set<bigint>();
  let total = 0;
  const walk = (dirfd: number, name: string | Uint8Array) => {
    const fd = tryOpen(dirfd, name);
    if (fd === undefined) return;
    try {
      for (const { name, type } of readdir(fd)) {
        if (type === DT_DIR) walk(fd, name);
        else if (type === DT_REG || type === DT_LNK || type === DT_UNKNOWN) {
          total += fileSize(fd, name, links);
        }
      }
    } finally {
      close(fd);
    }
  };
  walk(AT_FDCWD, path);
  return total;
}

function fileSize(dirfd: number, name: Uint8Array, links: Set<bigint>): number {
  try {
    const { size, nlink, ino } = statx(dirfd, name, AT_SYMLINK_NOFOLLOW);
    if (nlink < 2) return size;
    if (links.has(ino)) return 0;
    links.add(ino);
    return size;
  } catch (error) {
    if (isErrno(error, ENOENT)) return 0;
    throw error;
  }
}

/** Gone meanwhile, not a folder, or closed even to root of the namespace: then it has no size. */
function tryOpen(dirfd: number, name: string | Uint8Array): number | undefined {
  try {
    return openat(dirfd, name, FOLDER);
  } catch (error) {
    if (isErrno(error, ENOENT, ENOTDIR, ELOOP, EACCES)) return undefined;
    throw error;
  }
}

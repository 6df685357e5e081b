/**
 * Mounts that are complete before they have a place: made detached, attached by descriptor.
 *
 * No path is given to the kernel a second time, so nothing in the container can move a mount elsewhere
 * (CVE-2019-19921, CVE-2021-30465).
 *
 * @see fsopen(2), open_tree(2), move_mount(2)
 */

import { SyscallError } from "../../ffi/errno.ts";
import { Fd } from "../../ffi/file.ts";
import { fsconfig, fsmount, fsopen, mount_setattr, move_mount, open_tree } from "../../ffi/mount.ts";
import { AT_EMPTY_PATH, AT_FDCWD, AT_RECURSIVE } from "../../ffi/constants/fcntl.ts";
import {
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_PRIVATE,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from "../../ffi/constants/mount.ts";
import type { MountWords } from "./mount_words.ts";

/** A new file system of `type`; `data` are its own options, `key=value` or a bare flag. */
export function newFilesystem(
  type: string,
  source: string,
  data: readonly string[],
  attributes: number,
): number {
  using context = new Fd(fsopen(type, FSOPEN_CLOEXEC));
  if (source !== "") fsconfig(context.number, FSCONFIG_SET_STRING, "source", source);
  for (const option of data) {
    const split = option.indexOf("=");
    if (split === -1) fsconfig(context.number, FSCONFIG_SET_FLAG, option, null);
    else fsconfig(context.number, FSCONFIG_SET_STRING, option.slice(0, split), option.slice(split + 1));
  }
  try {
    fsconfig(context.number, FSCONFIG_CMD_CREATE, null, null);
  } catch (error) {
    throw error instanceof SyscallError ? new SyscallError("create file system", error.errno, type) : error;
  }
  return fsmount(context.number, FSMOUNT_CLOEXEC, attributes);
}

/** A copy of the mount at `path` (with what is mounted below it), or of the one that `dirfd` is open on. */
export function cloneMount(path: string, isRecursive: boolean, dirfd = AT_FDCWD): number {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (isRecursive ? AT_RECURSIVE : 0);
  return open_tree(dirfd, path, flags | (path === "" ? AT_EMPTY_PATH : 0));
}

/**
 * Gives a detached bind mount its flags and propagation, private where no word says otherwise.
 *
 * `rw` on a mount whose read-only flag is locked cannot be granted; the kernel says EPERM.
 */
export function configureBind(fd: number, words: MountWords): void {
  // Where the copy is not recursive there is one mount, and the flag changes nothing.
  mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, {
    set: words.set,
    clear: words.clear,
    propagation: words.propagation || MS_PRIVATE,
  });
}

/** Puts a detached mount on the file or folder that `target` is open on. */
export function attach(fd: number, target: number): void {
  move_mount(fd, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

/**
 * Mounts that are complete before they have a place: made detached, attached by descriptor.
 *
 * No path is given to the kernel a second time, so nothing in the container can move a mount elsewhere
 * (CVE-2019-19921, CVE-2021-30465).
 *
 * @see fsopen(2), open_tree(2), move_mount(2)
 */

import { mount_setattr, move_mount, open_tree } from "../../ffi/mount.ts";
import { AT_EMPTY_PATH, AT_FDCWD, AT_RECURSIVE } from "../../ffi/constants/fcntl.ts";
import {
  MOUNT_ATTR__ATIME,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_PRIVATE,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from "../../ffi/constants/mount.ts";
import type { MountWords } from "./mount_words.ts";

export { newFilesystem } from "../../ffi/mount.ts";

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
  const { set, isTopOnly } = words;
  // the modes of access times are one field, which is cleared as a whole before one is chosen
  const clear = (set & MOUNT_ATTR__ATIME) === 0 ? words.clear : words.clear | MOUNT_ATTR__ATIME;
  // Where the copy is not recursive there is one mount, and the flag changes nothing.
  mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, {
    set: isTopOnly ? set & ~MOUNT_ATTR_RDONLY : set,
    clear,
    propagation: words.propagation || MS_PRIVATE,
  });
  if (isTopOnly) mount_setattr(fd, "", AT_EMPTY_PATH, { set: set & MOUNT_ATTR_RDONLY, clear: 0 });
}

/** Puts a detached mount on the file or folder that `target` is open on. */
export function attach(fd: number, target: number): void {
  move_mount(fd, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

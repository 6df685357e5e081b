/** Advice to ext4 about folders that are made and removed all the time. */

import { ioctl, mkdirat, renameat2, unlinkat } from "../../ffi/file.ts";
import { AT_REMOVEDIR } from "../../ffi/constants/fcntl.ts";
import { FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_TOPDIR_FL } from "../../ffi/constants/ioctl.ts";
import { SyscallError } from "../../ffi/errno.ts";

/**
 * Says that the folders in this one have nothing to do with each other: ext4 gives each a block group of its own.
 * Otherwise a new tree goes where the last one was removed, and ext4 without a journal, which gives no inode out
 * again for minutes, looks at every removed one for each that it makes: 13,000 files took 4 s instead of 0.1.
 *
 * @see chattr(1), T
 */
export function spreadFolders(fd: number): void {
  advise(fd, true);
}

/** As `spreadFolders`, of a folder that is somebody's: what is returned takes the advice back. */
export function spreadFoldersFor(fd: number): Disposable {
  const isNew = advise(fd, true);
  return { [Symbol.dispose]: () => void (isNew && advise(fd, false)) };
}

/**
 * Replaces the empty folder `name` in `parent`, which is about to get many files, by one in another block group.
 *
 * ext4 places the folders of a spread folder by a hash of their names, so that a tree copied again would find itself
 * among the inodes of the one removed before. Under a name that nobody had, it does not. Synchronous, for forked children.
 */
export function settleElsewhere(parent: number, name: Uint8Array): void {
  const other = `.skiff-${crypto.randomUUID()}`;
  try {
    using _spread = spreadFoldersFor(parent);
    mkdirat(parent, other, 0o700);
    renameat2(parent, other, parent, name);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    // Somebody in the container was faster; the folder that is there will do.
    try {
      unlinkat(parent, other, AT_REMOVEDIR);
    } catch (gone) {
      if (!(gone instanceof SyscallError)) throw gone;
    }
  }
}

/** Gives whether that was news to the file system. */
function advise(fd: number, isTop: boolean): boolean {
  const flags = new Uint32Array(2);
  const bytes = new Uint8Array(flags.buffer);
  try {
    ioctl(fd, FS_IOC_GETFLAGS, bytes);
    if (((flags[0]! & FS_TOPDIR_FL) !== 0) === isTop) return false;
    flags[0]! ^= FS_TOPDIR_FL;
    ioctl(fd, FS_IOC_SETFLAGS, bytes);
    return true;
  } catch (error) {
    // It is advice, and other file systems have no use for it.
    if (!(error instanceof SyscallError)) throw error;
    return false;
  }
}

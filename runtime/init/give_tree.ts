/** `-v …:U`: a folder of the host's or a volume is given to the program's user, with all that is in it. */

import { EINVAL, ENOENT, EPERM, EROFS, isErrno } from "../../ffi/errno.ts";
import { close, fchownat, Fd, fstat, openat, readdir } from "../../ffi/file.ts";
import { mount_setattr } from "../../ffi/mount.ts";
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
} from "../../ffi/constants/fcntl.ts";
import { MOUNT_ATTR_RDONLY } from "../../ffi/constants/mount.ts";
import { S_IFDIR, S_IFMT } from "../../ffi/constants/stat.ts";
import { SkiffError } from "../errors.ts";
import { openInRoot, type Owner } from "../rootfs/in_root.ts";

/** d_type of a folder. @see getdents64(2) */
const DT_DIR = 4;

const OPEN_FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/**
 * Gives `fd` (O_PATH) and what is below it to `owner`; closes it. By descriptors, following no link: another container
 * may be changing the tree meanwhile.
 *
 * @throws {SkiffError} where something in it belongs to somebody who is not the container's
 */
export function giveTree(fd: number, owner: Owner): void {
  try {
    give(fd, "", owner);
    if ((fstat(fd).mode & S_IFMT) === S_IFDIR) giveEntries(fd, ".", owner);
  } catch (error) {
    if (!isErrno(error, EPERM, EINVAL)) throw error;
    throw new SkiffError(`give mount to ${owner.uid}:${owner.gid}: ${error.message}`, { cause: error });
  }
  close(fd);
}

/** The same of a tmpfs in the container's root, which its programs may only read. */
export function giveMountInside(root: number, path: string, owner: Owner): void {
  const place = () => openInRoot(root, path, O_PATH);
  try {
    return giveTree(place(), owner);
  } catch (error) {
    if (!isErrno(error, EROFS)) throw error;
  }
  using mount = new Fd(place());
  mount_setattr(mount.number, "", AT_EMPTY_PATH, { set: 0, clear: MOUNT_ATTR_RDONLY });
  giveTree(place(), owner);
  mount_setattr(mount.number, "", AT_EMPTY_PATH, { set: MOUNT_ATTR_RDONLY, clear: 0 });
}

function giveEntries(parent: number, name: Uint8Array | string, owner: Owner): void {
  using folder = new Fd(openat(parent, name, OPEN_FOLDER));
  for (const entry of readdir(folder.number)) {
    try {
      give(folder.number, entry.name, owner);
      if (entry.type === DT_DIR) giveEntries(folder.number, entry.name, owner);
    } catch (error) {
      if (!isErrno(error, ENOENT)) throw error;
    }
  }
}

function give(dirfd: number, name: Uint8Array | string, { uid, gid }: Owner): void {
  fchownat(dirfd, name, uid, gid, name === "" ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW);
}

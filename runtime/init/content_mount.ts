/** A file that is mounted without ever having been on a disk: a secret, a script of a build. */

import { attach, cloneMount, configureBind, newFilesystem } from "../rootfs/detached_mount.ts";
import type { MountWords } from "../rootfs/mount_words.ts";
import type { FileContent } from "../spec/runtime.ts";
import { EINVAL, isErrno } from "../../ffi/errno.ts";
import { SkiffError } from "../errors.ts";
import { fchmod, fchownat, Fd, open, openat, writeAll } from "../../ffi/file.ts";
import { umount2 } from "../../ffi/mount.ts";
import {
  AT_EMPTY_PATH,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_PATH,
  O_WRONLY,
} from "../../ffi/constants/fcntl.ts";
import { MNT_DETACH } from "../../ffi/constants/mount.ts";

const NAME = "content";
const ROOM_BYTES = 64 * 1024;

/** Makes the file in a tmpfs of its own and gives a detached mount of it. */
export function prepareContent({ base64, mode, uid, gid }: FileContent, words: MountWords): number {
  const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  // who may write there has no more of the machine's memory than that
  const limits = [`size=${bytes.length + ROOM_BYTES}`, "nr_inodes=8"];
  using memory = new Fd(newFilesystem("tmpfs", "tmpfs", ["mode=700", ...limits], 0));
  {
    using file = new Fd(openat(memory.number, NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600));
    writeAll(file.number, bytes);
    give(file.number, uid, gid);
    fchmod(file.number, mode);
  }
  // before Linux 6.15 only what has a place is cloned: over the root, where no path leads to
  using root = new Fd(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  attach(memory.number, root.number);
  try {
    const fd = cloneMount(NAME, false, memory.number);
    configureBind(fd, words);
    return fd;
  } finally {
    umount2(`/proc/self/fd/${memory.number}`, MNT_DETACH);
  }
}

function give(fd: number, uid: number, gid: number): void {
  try {
    fchownat(fd, "", uid, gid, AT_EMPTY_PATH);
  } catch (cause) {
    if (!isErrno(cause, EINVAL)) throw cause;
    throw new SkiffError(`give it to ${uid}:${gid}: the container has no such ids`, { cause });
  }
}

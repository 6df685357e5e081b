/** `--ipc container:ID`: POSIX shared memory is a file system, which is shared besides the namespace. @see shm_overview(7) */

import { close, Fd, open, openat2 } from "../../ffi/file.ts";
import { filesystemType } from "../../ffi/mount.ts";
import { setns } from "../../ffi/namespaces.ts";
import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
} from "../../ffi/constants/fcntl.ts";
import { TMPFS_MAGIC } from "../../ffi/constants/mount.ts";
import { CLONE_NEWNS } from "../../ffi/constants/sched.ts";
import { SkiffError } from "../errors.ts";
import { cloneMount } from "../rootfs/detached_mount.ts";

/**
 * A detached copy of the /dev/shm of the container whose init is `pid`. A mount can be copied only from its own mount
 * namespace, which is entered for that; links of that container are not followed.
 */
export function cloneSharedMemory(pid: number): number {
  using own = new Fd(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  using other = new Fd(open(`/proc/${pid}/ns/mnt`, O_RDONLY | O_CLOEXEC));
  setns(other.number, CLONE_NEWNS);
  try {
    using root = new Fd(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    const flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    using folder = new Fd(openat2(root.number, "dev/shm", flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS));
    if (filesystemType(folder.number) !== TMPFS_MAGIC) throw new SkiffError("/dev/shm is no tmpfs");
    return cloneMount("", false, folder.number);
  } catch (error) {
    throw new SkiffError(`share the memory of another container: ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    setns(own.number, CLONE_NEWNS);
  }
}

/** Puts the copy in place of the container's own /dev/shm. */
export function shareMemory(mounts: { destination: string; fd: number }[], shared: number | undefined): void {
  if (shared === undefined) return;
  const mount = mounts.find(({ destination }) => destination === "/dev/shm");
  if (!mount) return;
  close(mount.fd);
  mount.fd = shared;
}

/**
 * A volume that is a file system of its own (`volume create -o type=tmpfs`): one for all containers that use it at a
 * time, gone with the last of them, though nobody but their monitors keeps it.
 *
 * ```
 *  volumes/NAME/_data       where each monitor mounts it, in its own mount namespace
 *               lock        held while one looks for the others and joins them
 *               members/PID.N   locked by the monitor PID for as long as it lives
 * ```
 */

import { ENODEV, errnoText, isErrno, SyscallError } from "../../ffi/errno.ts";
import { Fd, open, statx } from "../../ffi/file.ts";
import { move_mount } from "../../ffi/mount.ts";
import { setns } from "../../ffi/namespaces.ts";
import { getpid } from "../../ffi/process.ts";
import { AT_FDCWD, O_CLOEXEC, O_RDONLY } from "../../ffi/constants/fcntl.ts";
import { MOVE_MOUNT_F_EMPTY_PATH } from "../../ffi/constants/mount.ts";
import { CLONE_NEWNS } from "../../ffi/constants/sched.ts";
import { STATX_ATTR_MOUNT_ROOT } from "../../ffi/constants/stat.ts";
import { HostError } from "../errors.ts";
import type { RootfsPlan } from "../monitor/plan.ts";
import { cloneMount } from "./detached_mount.ts";
import { parseMountWords } from "./mount_words.ts";
import { newTypedFilesystem } from "./typed_filesystem.ts";

type VolumePlan = Extract<RootfsPlan, { kind: "volume" }>;

/** Mounts it at the target: that of another monitor, or where there is none a new one. For monitors. */
export function mountVolumeFilesystem({ folder, target, type, device, options }: VolumePlan): void {
  const members = `${folder}/members`;
  Deno.mkdirSync(members, { recursive: true, mode: 0o700 });
  using lock = Deno.openSync(`${folder}/lock`, { read: true, write: true, create: true, mode: 0o600 });
  lock.lockSync(true);
  const { set, data } = parseMountWords(options);
  using mounted = new Fd(findMounted(members, target) ?? mountNew(type, device, data, set));
  move_mount(mounted.number, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
  register(members);
}

function mountNew(...[type, device, data, set]: Parameters<typeof newTypedFilesystem>): number {
  try {
    return newTypedFilesystem(type, device, data, set);
  } catch (cause) {
    if (isErrno(cause, ENODEV)) {
      throw new HostError(`mount volume of type "${type}": the kernel has no such file system`, { cause });
    }
    if (!(cause instanceof SyscallError)) throw cause;
    throw new HostError(
      `mount volume of type "${type}" (${device || "no device"}): ${errnoText(cause.errno)}`,
      {
        cause,
      },
    );
  }
}

/** The file stays open, and with that locked, until this process ends. */
function register(members: string): void {
  const pid = getpid();
  for (let count = 0;; count++) {
    try {
      // in another pid namespace somebody else may have the number
      const path = `${members}/${pid}.${count}`;
      return Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).lockSync(true);
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
}

/** A copy of the mount that another monitor has. */
function findMounted(members: string, target: string): number | undefined {
  for (const { name } of Deno.readDirSync(members)) {
    const path = `${members}/${name}`;
    using member = Deno.openSync(path, { write: true });
    const isAlive = !member.tryLockSync(true);
    if (!isAlive) {
      Deno.removeSync(path);
      continue;
    }
    const fd = cloneFrom(parseInt(name), target);
    if (fd !== undefined) return fd;
  }
}

function cloneFrom(pid: number, target: string): number | undefined {
  using own = new Fd(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  try {
    using other = new Fd(open(`/proc/${pid}/ns/mnt`, O_RDONLY | O_CLOEXEC));
    setns(other.number, CLONE_NEWNS);
  } catch (error) {
    if (error instanceof SyscallError) return undefined; // it ends at this moment
    throw error;
  }
  try {
    const isMounted = (statx(AT_FDCWD, target, 0).attributes & STATX_ATTR_MOUNT_ROOT) !== 0;
    return isMounted ? cloneMount(target, false) : undefined;
  } finally {
    setns(own.number, CLONE_NEWNS);
  }
}

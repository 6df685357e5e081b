/** How much a volume may hold: a project quota of its file system, whose project is the folder's inode number. */

import { SyscallError } from "../../ffi/errno.ts";
import { Fd, fstat, open } from "../../ffi/file.ts";
import { dropCapability } from "../../ffi/own_status.ts";
import { setProject, setProjectQuota } from "../../ffi/project_quota.ts";
import { O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../../ffi/constants/fcntl.ts";
import { UnsupportedError } from "../errors.ts";

/** @see capabilities(7): "override disk quota limits", which ext4 takes at its word and xfs does not */
const CAP_SYS_RESOURCE = 24;

export interface VolumeQuota {
  /** 0: no limit. */
  bytes: number;
  inodes: number;
}

/** @throws {UnsupportedError} where the file system counts nothing */
export function limitVolume(path: string, quota: VolumeQuota): void {
  using folder = new Fd(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  limitFolder(folder.number, quota);
}

/** The same for an open folder, in which there is nothing yet. @throws {UnsupportedError} */
export function limitFolder(folder: number, quota: VolumeQuota): void {
  // unique in the file system while the folder is there
  const project = Number(BigInt(fstat(folder).ino) & 0x7fffffffn) || 1;
  try {
    setProjectQuota(folder, project, quota);
    setProject(folder, project);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    throw new UnsupportedError(`limit volume: its file system keeps no project quotas: ${error.message}`, {
      cause: error,
      hint: "mount an xfs or ext4 with the option prjquota for it",
    });
  }
}

/** From here on this process keeps to the limits of volumes, as a container does. For forked children. */
export function obeyQuotas(): void {
  dropCapability(CAP_SYS_RESOURCE);
}

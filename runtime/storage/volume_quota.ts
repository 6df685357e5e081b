/** How much a volume may hold: a project quota of its file system, whose project is the folder's inode number. */

import { SyscallError } from "../../ffi/errno.ts";
import { Fd, fstat, open } from "../../ffi/file.ts";
import { setProject, setProjectQuota } from "../../ffi/project_quota.ts";
import { O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../../ffi/constants/fcntl.ts";
import { UnsupportedError } from "../errors.ts";

export interface VolumeQuota {
  /** 0: no limit. */
  bytes: number;
  inodes: number;
}

/** @throws {UnsupportedError} where the file system counts nothing */
export function limitVolume(path: string, quota: VolumeQuota): void {
  using folder = new Fd(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  // unique in the file system while the folder is there
  const project = Number(BigInt(fstat(folder.number).ino) & 0x7fffffffn) || 1;
  try {
    setProjectQuota(folder.number, project, quota);
    setProject(folder.number, project);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    throw new UnsupportedError(`limit volume: its file system keeps no project quotas: ${error.message}`, {
      cause: error,
      hint: "mount an xfs or ext4 with the option prjquota for it",
    });
  }
}

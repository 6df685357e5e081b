/**
 * Project quotas: what a folder and all that is made below it may take of its file system.
 *
 * @see quotactl(2), ioctl_xfs_fsgetxattr(2)
 */

import { check } from "./errno.ts";
import { ioctl } from "./file.ts";
import { libc } from "./libc.ts";
import { FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR } from "./constants/ioctl.ts";

/** QCMD(Q_SETQUOTA, PRJQUOTA). */
const SET_PROJECT_QUOTA = 0x80000802;
const FS_XFLAG_PROJINHERIT = 0x200;
const QIF_BLIMITS = 1, QIF_ILIMITS = 4;

/** struct fsxattr: xflags, extsize, nextents, projid, cowextsize, padding. */
const FSXATTR_BYTES = 28;
/** struct if_dqblk: eight numbers of 64 bits, and which of them count. */
const DQBLK_BYTES = 72;

/** Makes the open folder, and what will be made in it, part of a project. @see ioctl_xfs_fssetxattr(2) */
export function setProject(folder: number, project: number): void {
  const bytes = new Uint8Array(FSXATTR_BYTES);
  ioctl(folder, FS_IOC_FSGETXATTR, bytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, view.getUint32(0, true) | FS_XFLAG_PROJINHERIT, true);
  view.setUint32(12, project, true);
  ioctl(folder, FS_IOC_FSSETXATTR, bytes);
}

/** Limits a project on the file system of an open folder; 0 is no limit. Bytes count in steps of 1024. */
export function setProjectQuota(
  folder: number,
  project: number,
  limit: { bytes: number; inodes: number },
): void {
  const bytes = new Uint8Array(DQBLK_BYTES);
  const view = new DataView(bytes.buffer);
  const blocks = BigInt(Math.ceil(limit.bytes / 1024)), inodes = BigInt(limit.inodes);
  // hard and soft: no time of grace
  for (const [at, value] of [[0, blocks], [8, blocks], [24, inodes], [32, inodes]] as const) {
    view.setBigUint64(at, value, true);
  }
  view.setUint32(64, QIF_BLIMITS | QIF_ILIMITS, true);
  check("quotactl_fd", libc("file").quotactl_fd(folder, SET_PROJECT_QUOTA, project, bytes));
}

/** A root filesystem that can only be read, mounted where the calling process lives. In a forked child only. */

import { AT_FDCWD, AT_RECURSIVE } from "../../ffi/constants/fcntl.ts";
import { MOUNT_ATTR_RDONLY } from "../../ffi/constants/mount.ts";
import { mount_setattr } from "../../ffi/mount.ts";
import type { RootfsPlan } from "../monitor/plan.ts";
import { performRootfs } from "../rootfs/perform.ts";

/** What a holder has mounted already, as fuse-overlayfs needs one, is only made read-only. */
export function mountReadOnly(rootfs: RootfsPlan): void {
  if (rootfs.kind !== "fuse-overlayfs") performRootfs(rootfs);
  mount_setattr(AT_FDCWD, rootfs.target, AT_RECURSIVE, { set: MOUNT_ATTR_RDONLY, clear: 0 });
}

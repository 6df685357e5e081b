/**
 * Performs a RootfsPlan in the monitor's mount namespace: what a storage driver planned as data becomes
 * one mount at the plan's target.
 */

import { mount } from "../../ffi/mount.ts";
import { unshare } from "../../ffi/namespaces.ts";
import { MS_BIND, MS_REC, MS_SLAVE } from "../../ffi/constants/mount.ts";
import { CLONE_NEWNS } from "../../ffi/constants/sched.ts";
import type { RootfsPlan } from "../monitor/plan.ts";
import { mountFuseOverlay } from "./fuse_overlayfs.ts";
import { mountHostFolders } from "./host_folders.ts";
import { mountLazyLower } from "./lazy_lower.ts";
import { mountOverlay } from "./overlay.ts";
import { mountVolumeFilesystem } from "./volume_filesystem.ts";

/** A mount namespace of its own, in which the host's mounts and unmounts still arrive. */
export function unshareMountNamespace(): void {
  unshare(CLONE_NEWNS);
  mount(null, "/", null, MS_REC | MS_SLAVE);
}

/** What stays behind the rootfs and must be ended with it. */
export interface PerformedRootfs {
  /** pid of fuse-overlayfs. */
  helperPid?: number;
}

/** Mounts the root filesystem at `plan.target`. Synchronous; for the monitor and short-lived tasks. */
export function performRootfs(plan: RootfsPlan): PerformedRootfs {
  switch (plan.kind) {
    case "overlay":
      if (plan.lazy !== undefined) mountLazyLower(plan.lazy);
      mountOverlay(plan);
      return {};
    case "fuse-overlayfs":
      return { helperPid: mountFuseOverlay(plan) };
    case "directory":
      mount(plan.source, plan.target, null, MS_BIND | MS_REC);
      return {};
    case "host":
      mountHostFolders(plan);
      return {};
    case "volume":
      mountVolumeFilesystem(plan);
      return {};
  }
}

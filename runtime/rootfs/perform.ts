/**
 * Performs a RootfsPlan in the monitor's mount namespace: what a storage driver planned as data becomes
 * one mount at the plan's target.
 *
 * Layers are given to overlay as /proc/self/fd/N: names need no escaping, options stay below a page with
 * any number of layers, and what is mounted is what was opened.
 *
 * @see Documentation/filesystems/overlayfs.rst
 */

import { Fd, open } from "../../ffi/file.ts";
import { mount } from "../../ffi/mount.ts";
import { unshare } from "../../ffi/namespaces.ts";
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts";
import { MS_BIND, MS_REC, MS_SLAVE } from "../../ffi/constants/mount.ts";
import { CLONE_NEWNS } from "../../ffi/constants/sched.ts";
import type { RootfsPlan } from "../monitor/plan.ts";
import { mountFuseOverlay } from "./fuse_overlayfs.ts";
import { mountHostFolders } from "./host_folders.ts";

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
  }
}

/** The options of one overlay mount. */
export interface OverlayMount {
  lower: readonly string[];
  upper: string;
  work: string;
  target: string;
  userxattr: boolean;
  volatile?: boolean;
  flags?: number;
}

/** Mounts a kernel overlay. */
export function mountOverlay(plan: OverlayMount): void {
  using opened = new DisposableStack();
  const folder = (path: string) => {
    const fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    opened.use(new Fd(fd));
    return `/proc/self/fd/${fd}`;
  };
  const options = [
    `lowerdir=${plan.lower.map(folder).join(":")}`,
    `upperdir=${folder(plan.upper)}`,
    `workdir=${folder(plan.work)}`,
  ];
  if (plan.userxattr) options.push("userxattr");
  if (plan.volatile) options.push("volatile");
  mount("overlay", plan.target, "overlay", plan.flags ?? 0, options.join(","));
}

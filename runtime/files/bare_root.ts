/** The root of a running container without what is mounted on it: what lies below a bind mount or a secret is seen as it is. */

import { CLONE_NEWNS } from "../../ffi/constants/sched.ts";
import { O_CLOEXEC, O_RDONLY } from "../../ffi/constants/fcntl.ts";
import { PR_SET_DUMPABLE } from "../../ffi/constants/prctl.ts";
import { Fd, open } from "../../ffi/file.ts";
import { setns } from "../../ffi/namespaces.ts";
import { prctl } from "../../ffi/process.ts";
import { cloneMount } from "../rootfs/detached_mount.ts";
import { unshareMountNamespace } from "../rootfs/perform.ts";

/**
 * A descriptor of a copy of the mount alone that `root`, the root of the process `pid`, lies on. To be used in a forked
 * child only: for a moment it is in the container's mount namespace, since the kernel copies no mount of another.
 *
 * @see open_tree(2), OPEN_TREE_CLONE
 */
export function cloneBareRoot(root: number, pid: number): number {
  // nobody in the container looks into it meanwhile
  prctl(PR_SET_DUMPABLE, 0);
  using theirs = new Fd(open(`/proc/${pid}/ns/mnt`, O_RDONLY | O_CLOEXEC));
  // a namespace of its own is one that it may come back to
  unshareMountNamespace();
  using own = new Fd(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  setns(theirs.number, CLONE_NEWNS);
  try {
    return cloneMount("", false, root);
  } finally {
    setns(own.number, CLONE_NEWNS);
  }
}

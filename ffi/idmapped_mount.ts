/**
 * Mounts that show files with other owners than they have on the disk: the kernel maps them by the ids of a user
 * namespace, which needs nobody in it. As real root only; synchronous, for forked children.
 *
 * @see mount_setattr(2), MOUNT_ATTR_IDMAP (Linux 5.12); user_namespaces(7)
 */

import { AT_EMPTY_PATH, AT_FDCWD, AT_RECURSIVE, O_CLOEXEC, O_RDONLY } from "./constants/fcntl.ts";
import {
  MOUNT_ATTR_IDMAP,
  MOVE_MOUNT_F_EMPTY_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from "./constants/mount.ts";
import { CLONE_NEWUSER } from "./constants/sched.ts";
import { SIGKILL } from "./constants/signal.ts";
import { close, closeAllExcept, Fd, open, pipe2, read, writeAll } from "./file.ts";
import { forkChild } from "./fork.ts";
import { mount_setattr, move_mount, open_tree } from "./mount.ts";
import { unshare } from "./namespaces.ts";
import { pollBlocking } from "./poll.ts";
import { kill, waitpidBlocking } from "./process.ts";

/** A descriptor of a user namespace with these maps (lines of uid_map) and nobody in it. */
export function emptyUserNamespace(uidMap: string, gidMap: string): number {
  const [ready, told] = pipe2(O_CLOEXEC);
  const pid = forkChild(() => {
    closeAllExcept([told]);
    unshare(CLONE_NEWUSER);
    writeAll(told, new Uint8Array(1));
    for (;;) pollBlocking(-1, 0, -1);
  });
  try {
    close(told);
    if (read(ready, new Uint8Array(1)) === 0) {
      throw new Error("create user namespace: the process ended early");
    }
    Deno.writeTextFileSync(`/proc/${pid}/uid_map`, uidMap);
    Deno.writeTextFileSync(`/proc/${pid}/gid_map`, gidMap);
    return open(`/proc/${pid}/ns/user`, O_RDONLY | O_CLOEXEC);
  } finally {
    close(ready);
    kill(pid, SIGKILL);
    waitpidBlocking(pid);
  }
}

/** Of a detached mount and all below it. Throws EPERM or EINVAL where a file system does not take it. */
export function setIdMap(tree: number, userNamespace: number): void {
  mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, {
    set: MOUNT_ATTR_IDMAP,
    clear: 0,
    userNamespaceFd: userNamespace,
  });
}

/** Mounts the folder `source`, without what is mounted below it, at `target`. */
export function bindIdMapped(source: string, target: string, userNamespace: number): void {
  using tree = new Fd(open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  setIdMap(tree.number, userNamespace);
  move_mount(tree.number, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
}

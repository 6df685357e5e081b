/**
 * Mounts that show files with other owners than they have on disk (`-v …:idmap`): made by the kernel where it lets us
 * (as real root), else a FUSE file system that a child of the monitor serves and that ends with it.
 *
 * @see mount_setattr(2), MOUNT_ATTR_IDMAP
 */

import { ECONNABORTED, EINVAL, ENOTCONN, EPERM, isErrno } from "../../ffi/errno.ts";
import { close, closeAllExcept, dup2, Fd, fstat, open } from "../../ffi/file.ts";
import { forkChild } from "../../ffi/fork.ts";
import { emptyUserNamespace, setIdMap } from "../../ffi/idmapped_mount.ts";
import { filesystemType, move_mount, umount2 } from "../../ffi/mount.ts";
import { _exit, getpid, getppid, getrlimit, prctl, setgroups, setrlimit, umask } from "../../ffi/process.ts";
import { setProcessTitle } from "../../ffi/process_title.ts";
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH, O_RDWR } from "../../ffi/constants/fcntl.ts";
import { MNT_DETACH, MOVE_MOUNT_F_EMPTY_PATH } from "../../ffi/constants/mount.ts";
import { PR_SET_PDEATHSIG } from "../../ffi/constants/prctl.ts";
import { RLIMIT_NOFILE } from "../../ffi/constants/resource.ts";
import { SIGKILL } from "../../ffi/constants/signal.ts";
import { S_IFDIR, S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts";
import { HostError, SkiffError } from "../errors.ts";
import { abortFuseMount, newFuseMount, openFuse, openFuseTwin } from "../fuse/mount.ts";
import type { OwnerRule } from "../fuse/passthrough/owners.ts";
import { type PassthroughMount, servePassthroughBlocking } from "../fuse/passthrough/passthrough.ts";
import { resolveUserInRoot } from "../init/user.ts";
import { cloneMount } from "../rootfs/detached_mount.ts";
import type { IdMapping } from "../spec/runtime.ts";
import type { IdMappedMount, OwnerRange } from "./plan.ts";

/** As libfuse: so late is a change seen that the host or another container makes. */
const VALIDITY = { entryMs: 1000, attrMs: 1000 };
/** It fits in a pipe. Larger ones are no faster; smaller ones cost turns, which are dear where other things run. */
const MAX_READ_BYTES = 512 << 10;
/** Descriptors of a server; more are no faster. */
const MAX_DESCRIPTORS = 131072;
const MAX_ID = 0xfffffffe;

export interface IdMappedOptions {
  /** Where the container's root filesystem is mounted: the user is looked up in it. */
  root: string;
  /** As the plan's annex has it. */
  user: string;
  /** Real root without a user namespace. */
  isPrivileged: boolean;
}

/** Makes the mounts, in the monitor's namespaces. Throws where one cannot be had. */
export function mountIdMapped(mounts: readonly IdMappedMount[], options: IdMappedOptions): void {
  const user = findUser(options);
  for (const mount of mounts) {
    try {
      using tree = new Fd(cloneMount(mount.source, mount.isRecursive));
      mountOne(mount, tree.number, user, options.isPrivileged);
    } catch (error) {
      const { message, hint } = error as SkiffError;
      throw new HostError(`show ${mount.source} with other owners: ${message}`, { cause: error, hint });
    }
  }
}

/** Before the container runs again: makes those anew whose server has been killed. */
export function renewIdMapped(mounts: readonly IdMappedMount[], options: IdMappedOptions): void {
  const dead = mounts.filter(({ target }) => !answers(target));
  for (const { target } of dead) umount2(target, MNT_DETACH);
  if (dead.length > 0) mountIdMapped(dead, options);
}

/** Where the mounts are that this process has forked servers of, by their pids. */
const served = new Map<number, string>();

/**
 * A child has ended. If it has served a mount, nobody waits for it any more: the writer of its notices, who may wait for
 * the lock of such a one, would keep the connection (`Notices`).
 */
export function endServedBy(pid: number): void {
  const target = served.get(pid);
  if (target === undefined) return;
  served.delete(pid);
  abortFuseMount(target);
}

function answers(path: string): boolean {
  using place = new Fd(open(path, O_PATH | O_CLOEXEC));
  try {
    // attributes might still be remembered; this is always asked
    filesystemType(place.number);
    return true;
  } catch (error) {
    if (isErrno(error, ENOTCONN, ECONNABORTED)) return false;
    throw error;
  }
}

function findUser({ root, user }: IdMappedOptions): { uid: number; gid: number } {
  using folder = new Fd(open(root, O_PATH | O_DIRECTORY | O_CLOEXEC));
  return resolveUserInRoot(folder.number, user, []);
}

interface Rules {
  uids: OwnerRule;
  gids: OwnerRule;
}

/** `tree` is a copy of the source's mount. */
function mountOne(
  mount: IdMappedMount,
  tree: number,
  user: { uid: number; gid: number },
  isPrivileged: boolean,
) {
  const { uid, gid, mode } = fstat(tree);
  const type = mode & S_IFMT;
  if (type !== S_IFDIR && type !== S_IFREG) throw new SkiffError("it is neither a folder nor a file");
  // the user of a rootless container is 0 here, whoever owns the folder
  const rules = {
    uids: ruleOf(mount.uids, isPrivileged ? uid : 0, user.uid, mount.nested?.uid),
    gids: ruleOf(mount.gids, isPrivileged ? gid : 0, user.gid, mount.nested?.gid),
  };
  if (isPrivileged && mapByKernel(tree, rules)) {
    return move_mount(tree, "", AT_FDCWD, mount.target, MOVE_MOUNT_F_EMPTY_PATH);
  }
  const fuse = openFuse();
  try {
    const options = { source: mount.source, subtype: "skiff", rootMode: type, maxRead: MAX_READ_BYTES };
    using made = new Fd(newFuseMount(fuse, options));
    using twin = new Fd(openFuseTwin(fuse));
    const connection = { fuse, twin: twin.number, root: made.number };
    const server = forkServer(mount, connection, tree, rules, isPrivileged);
    // an older one may have ended and not been reaped
    for (const [pid, target] of served) if (target === mount.target) served.delete(pid);
    served.set(server, mount.target);
    move_mount(made.number, "", AT_FDCWD, mount.target, MOVE_MOUNT_F_EMPTY_PATH);
  } finally {
    // the child's alone: what it has not answered ends with it, and so does the connection, once the twin's holder has
    close(fuse);
  }
}

/** Of one kind of id; `disk` and `user` are whom files belong to and who is to see them as his. */
function ruleOf(
  ranges: OwnerRange[] | undefined,
  disk: number,
  user: number,
  nested: readonly IdMapping[] | undefined,
): OwnerRule {
  if (ranges) return { kind: "ranges", ranges };
  const outer = (id: number) => {
    if (nested === undefined) return id;
    const line = nested.find(({ containerID, size }) => id >= containerID && id < containerID + size);
    return line && line.hostID + id - line.containerID;
  };
  const shown = outer(user);
  if (shown === undefined) throw new SkiffError(`the container's user ${user} has no number on the host`);
  return { kind: "swap", disk, shown, root: outer(0) ?? shown };
}

/** False where the kernel refuses it for this file system. */
function mapByKernel(tree: number, { uids, gids }: Rules): boolean {
  using namespace = new Fd(emptyUserNamespace(mapLines(uids), mapLines(gids)));
  try {
    setIdMap(tree, namespace.number);
    return true;
  } catch (error) {
    if (isErrno(error, EPERM, EINVAL)) return false;
    throw error;
  }
}

/** Lines of uid_map(5): inside is what is on disk, outside what is shown. */
function mapLines(rule: OwnerRule): string {
  const ranges = rule.kind === "ranges" ? rule.ranges : swapped(rule.disk, rule.shown);
  return ranges.map(({ disk, shown, size }) => `${disk} ${shown} ${size}\n`).join("");
}

/** Every id, of which two have changed places. */
function swapped(one: number, other: number): OwnerRange[] {
  const [low, high] = one < other ? [one, other] : [other, one];
  const same = (first: number, end: number) => ({ disk: first, shown: first, size: end - first });
  if (low === high) return [same(0, MAX_ID + 1)];
  return [
    same(0, low),
    { disk: low, shown: high, size: 1 },
    same(low + 1, high),
    { disk: high, shown: low, size: 1 },
    same(high + 1, MAX_ID + 1),
  ].filter(({ size }) => size > 0);
}

/** The user's other groups are not the container's, which would have what the server may open by them. */
function dropGroups(): void {
  try {
    setgroups([]);
  } catch (error) {
    // in a namespace with a single id, where the container keeps them as well
    if (!isErrno(error, EPERM)) throw error;
  }
}

/** The child that serves, which ends with the mount or with the monitor: its pid. */
function forkServer(
  { source }: IdMappedMount,
  connection: PassthroughMount,
  tree: number,
  { uids, gids }: Rules,
  isPrivileged: boolean,
): number {
  const parent = getpid();
  return forkChild(() => {
    // the command's own streams would stay open as long as the container runs
    const nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const fd of [0, 1, 2]) dup2(nothing, fd);
    closeAllExcept([connection.fuse, connection.twin, connection.root, tree]);
    const endWithMonitor = () => {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() !== parent) _exit(1);
    };
    endWithMonitor();
    setProcessTitle(`skiff: idmap ${source}`);
    umask(0);
    dropGroups();
    const { hard } = getrlimit(RLIMIT_NOFILE);
    setrlimit(RLIMIT_NOFILE, { soft: hard, hard });
    const maxDescriptors = Math.min(hard, MAX_DESCRIPTORS);
    servePassthroughBlocking(connection, {
      rootFd: tree,
      uids,
      gids,
      validity: VALIDITY,
      maxDescriptors,
      isPrivileged,
      onIdsChanged: endWithMonitor,
    });
    return 0;
  });
}

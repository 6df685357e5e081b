/**
 * A container's root as its processes see it, for a short-lived child that works on its files.
 *
 * ```
 *  running   /proc/PID/root of init: its mount namespace is reached by descriptor, nobody has to enter it
 *  stopped   root filesystem, volumes and bind mounts are mounted in a mount namespace of the child's own,
 *            which goes with the child; the caller holds the container's lock meanwhile
 * ```
 *
 * What is named below the root is resolved with RESOLVE_IN_ROOT: no link of the container leads out of it.
 */

import { EACCES, isErrno } from "../../ffi/errno.ts";
import { close, Fd, open } from "../../ffi/file.ts";
import { umount2 } from "../../ffi/mount.ts";
import { pollBlocking } from "../../ffi/poll.ts";
import { kill, pidfd_open, waitpid, waitpidBlocking } from "../../ffi/process.ts";
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts";
import { MNT_DETACH } from "../../ffi/constants/mount.ts";
import { SIGKILL, WNOHANG } from "../../ffi/constants/signal.ts";
import { ConflictError } from "../errors.ts";
import { attachMounts, prepareMounts } from "../init/mounts.ts";
import type { RootfsPlan } from "../monitor/plan.ts";
import { tryOpenInRoot } from "../rootfs/in_root.ts";
import { mountOverlay } from "../rootfs/overlay.ts";
import { performRootfs, unshareMountNamespace } from "../rootfs/perform.ts";
import type { MountSpec } from "../spec/runtime.ts";
import { removeTree } from "../storage/remove_tree.ts";

export type ContainerView =
  /** `startTime` is field 22 of /proc/PID/stat: guards against a reused pid. */
  | { kind: "running"; pid: number; startTime: string }
  | { kind: "stopped"; rootfs: RootfsPlan; mounts: MountSpec[] };

type OverlayPlan = Extract<RootfsPlan, { kind: "overlay" }>;

/** How long fuse-overlayfs may take to write what it holds back. */
const HELPER_MS = 10_000;

/** Opened roots, as O_PATH descriptors. One view is opened once. To be used in a forked child only. */
export class OpenedViews implements Disposable {
  readonly #roots = new Map<ContainerView, number>();
  readonly #helpers: { pid: number; target: string }[] = [];
  readonly #works: { work: string; target: string }[] = [];
  #isPrivate = false;

  /**
   * With `readOnly` it is not meant to be written. A view that is opened both ways is opened for writing first.
   *
   * @throws {ConflictError} where the container has ended meanwhile
   */
  open(view: ContainerView, readOnly = false): number {
    const known = this.#roots.get(view);
    if (known !== undefined) return known;
    const root = view.kind === "running" ? openRunning(view) : this.#mount(view, readOnly);
    this.#roots.set(view, root);
    return root;
  }

  #mount({ rootfs, mounts }: Extract<ContainerView, { kind: "stopped" }>, readOnly: boolean): number {
    if (!this.#isPrivate) unshareMountNamespace();
    this.#isPrivate = true;
    if (readOnly && rootfs.kind === "overlay") {
      const root = openReadOnly(rootfs, mounts);
      if (root !== undefined) return root;
    }
    if (rootfs.kind === "overlay") this.#mountUnsynced(rootfs);
    else {
      const { helperPid } = performRootfs(rootfs);
      if (helperPid !== undefined) this.#helpers.push({ pid: helperPid, target: rootfs.target });
    }
    const root = open(rootfs.target, O_PATH | O_DIRECTORY | O_CLOEXEC);
    closingWhatItOpens(() => attachMounts(root, prepareMounts(mounts)));
    return root;
  }

  /**
   * Volatile: else all that was copied would be on the disk before the command ends, as after no other copy. Its mark
   * of that lies in a work folder of its own, so that the container's is never refused, whenever this process is killed.
   */
  #mountUnsynced(rootfs: OverlayPlan): void {
    const work = `${rootfs.work}-copy`;
    removeTree(AT_FDCWD, work);
    Deno.mkdirSync(work, { mode: 0o700 });
    mountOverlay({ ...rootfs, work, volatile: true });
    this.#works.push({ work, target: rootfs.target });
  }

  [Symbol.dispose](): void {
    for (const root of this.#roots.values()) close(root);
    for (const { work, target } of this.#works) {
      umount2(target, MNT_DETACH);
      removeTree(AT_FDCWD, work);
    }
    for (const { pid, target } of this.#helpers) {
      umount2(target, MNT_DETACH);
      waitForHelperBlocking(pid);
    }
  }
}

/**
 * The upper folder as one more lower one: when an overlay that can be written is unmounted, the kernel syncs all of the
 * file system that it lies on, also what was just copied there. Undefined where a mount point has to be made first.
 */
function openReadOnly(
  { lower, upper, target, userxattr, idMapped }: OverlayPlan,
  mounts: MountSpec[],
): number | undefined {
  mountOverlay({
    lower: [upper, ...lower],
    target,
    userxattr,
    idMapped: idMapped && { ...idMapped, from: idMapped.from + 1 },
  });
  const root = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
  for (const { destination } of mounts) {
    const there = tryOpenInRoot(root, destination, O_PATH);
    if (there !== undefined) {
      close(there);
      continue;
    }
    close(root);
    umount2(target, MNT_DETACH);
    return undefined;
  }
  attachMounts(root, prepareMounts(mounts));
  return root;
}

/** What stays open would keep fuse-overlayfs alive. */
function closingWhatItOpens(work: () => void): void {
  const before = openDescriptors();
  work();
  for (const fd of openDescriptors()) if (!before.has(fd)) close(fd);
}

function openDescriptors(): Set<number> {
  return new Set(Array.from(Deno.readDirSync("/proc/self/fd"), ({ name }) => Number(name)));
}

function openRunning({ pid, startTime }: Extract<ContainerView, { kind: "running" }>): number {
  const gone = (cause?: unknown) => new ConflictError("the container has ended meanwhile", { cause });
  try {
    // Held while the number is looked at, so that the number cannot pass to another process.
    using _init = new Fd(pidfd_open(pid));
    const root = open(`/proc/${pid}/root`, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    if (stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] === startTime) return root;
    close(root);
  } catch (error) {
    if (!isErrno(error, EACCES)) throw gone(error);
    // the members' files of that namespace are gone, so that none joins it any more
    throw new ConflictError("the container runs in a user namespace that is out of reach", {
      cause: error,
      hint: "restart it: the runtime folder has been removed since it was started",
    });
  }
  throw gone();
}

/** It ends by itself once nothing uses its file system any more. */
function waitForHelperBlocking(pid: number): void {
  for (let waitedMs = 0; waitedMs < HELPER_MS; waitedMs += 5) {
    if (waitpid(pid, WNOHANG)) return;
    pollBlocking(-1, 0, 5);
  }
  kill(pid, SIGKILL);
  waitpidBlocking(pid);
}

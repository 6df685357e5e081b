/**
 * Keeps a stopped container's root mounted: a process that holds the container's lock meanwhile, so that nobody starts
 * or removes it, and the parent of fuse-overlayfs where that is needed.
 *
 * ```
 *  command ── fork ──▶ child, in the user's namespace ── fork ──▶ holder: mounts, says so, waits
 * ```
 * The mount is in the mount namespace of the caller: a session of `unshare`, with which the holder ends, or root's.
 */

import { closeAllExcept, dup2, open, writeAll } from "../../ffi/file.ts";
import { forkChild } from "../../ffi/fork.ts";
import { umount2 } from "../../ffi/mount.ts";
import { pollBlocking } from "../../ffi/poll.ts";
import { getpid, pidfd_open, setProcessName, setsid } from "../../ffi/process.ts";
import { resetSignalDispositions, setSignalMask } from "../../ffi/signal.ts";
import { O_CLOEXEC, O_RDWR } from "../../ffi/constants/fcntl.ts";
import { MNT_DETACH } from "../../ffi/constants/mount.ts";
import { EINVAL, ENOENT, isErrno } from "../../ffi/errno.ts";
import type { RootfsPlan } from "../monitor/plan.ts";
import { performRootfs } from "../rootfs/perform.ts";

export interface HolderFds {
  lock: number;
  /** Told once: the pid as JSON, or what failed. */
  ready: number;
}

export type HolderMessage = { pid: number } | { error: string };

const POLLIN = 1;
const ALL_SIGNALS = ~0n;

/** Forks the holder and returns; `sessionPid` is the process that it ends with. In a forked child only. */
export function forkMountHolder(plan: RootfsPlan, fds: HolderFds, sessionPid: number | undefined): number {
  forkChild(() => holdBlocking(plan, fds, sessionPid));
  return 0;
}

function holdBlocking(plan: RootfsPlan, { lock, ready }: HolderFds, sessionPid: number | undefined): number {
  const say = (message: HolderMessage) => writeAll(ready, new TextEncoder().encode(JSON.stringify(message)));
  let session: number | undefined;
  try {
    setsid();
    // the runtime catches those that end a program, from the first time on that it waited for something
    resetSignalDispositions(ALL_SIGNALS);
    setSignalMask([]);
    setProcessName("skiff: mount");
    session = sessionPid === undefined ? undefined : pidfd_open(sessionPid);
    performRootfs(plan);
    say({ pid: getpid() });
  } catch (error) {
    say({ error: (error as Error).message });
    return 1;
  }
  const nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const fd of [0, 1, 2]) dup2(nothing, fd);
  closeAllExcept([lock, ...(session === undefined ? [] : [session])]);
  for (;;) {
    // a signal ends the holder; without a session nothing else does
    if (pollBlocking(session ?? -1, POLLIN, -1) > 0) return 0;
  }
}

/** Takes the mount away; one that is gone already is as good. */
export function unmount(target: string, force: boolean): void {
  try {
    umount2(target, force ? MNT_DETACH : 0);
  } catch (error) {
    if (!isErrno(error, EINVAL, ENOENT)) throw error;
  }
}

/** Where the holder of the bridges listens, and the locks beside it; all in the user's runtime folder. */

import {
  AF_UNIX,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from "../../../ffi/constants/socket.ts";
import { LOCK_EX, LOCK_NB, O_CLOEXEC, O_CREAT, O_RDWR } from "../../../ffi/constants/fcntl.ts";
import { EAGAIN, ECONNREFUSED, ENOENT, isErrno } from "../../../ffi/errno.ts";
import { close, Fd, flock, flockBlocking, fstat, lstat, open } from "../../../ffi/file.ts";
import { connectUnix, listenUnix, socket } from "../../../ffi/socket.ts";
import type { HolderPlan } from "../plan.ts";
import { bridgeSocketPath } from "./client.ts";

type Folders = Pick<HolderPlan, "run" | "data">;

export interface HolderPaths {
  /** Of commands, see client.ts. */
  requests: string;
  /** Of monitors, see messages.ts. */
  members: string;
  /** Held while the holder comes or goes. */
  lock: string;
  /** Held, by a descriptor that monitors keep, while the bridges' namespace lives. */
  alive: string;
  /** What was changed of this machine, see host_record.ts. */
  record: string;
}

export function holderPaths(folders: Folders): HolderPaths {
  const requests = bridgeSocketPath(folders);
  return {
    requests,
    members: `${requests}.members`,
    lock: `${requests}.lock`,
    alive: `${requests}.alive`,
    record: `${requests}.host`,
  };
}

export interface HolderListeners {
  requests: number;
  members: number;
}

const BACKLOG = 512;

/** Binds both sockets, in place of those that a killed holder has left. To be called with the lock. */
export function listenForHolder(folders: Folders): HolderListeners {
  const paths = holderPaths(folders);
  removeHolderSockets(folders);
  const members = listenUnix(paths.members, BACKLOG, SOCK_SEQPACKET | SOCK_NONBLOCK);
  try {
    return { members, requests: listenUnix(paths.requests, BACKLOG, SOCK_STREAM | SOCK_NONBLOCK) };
  } catch (error) {
    close(members);
    throw error;
  }
}

/** A connection of a member; undefined where no holder listens. */
export function connectToHolder(folders: Folders): number | undefined {
  const fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC);
  try {
    connectUnix(fd, holderPaths(folders).members);
    return fd;
  } catch (error) {
    close(fd);
    if (isErrno(error, ECONNREFUSED) || isErrno(error, ENOENT)) return undefined;
    throw error;
  }
}

/**
 * The lock that is held while the holder comes or goes: exclusively by who makes or ends one, shared by who finds one.
 * With LOCK_NB undefined where another has it. Who ends removes the file: the one that is there now counts.
 */
export function lockHolder(folders: Folders, operation: number): Fd | undefined {
  const path = holderPaths(folders).lock;
  for (;;) {
    const lock = new Fd(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600));
    try {
      if (operation & LOCK_NB) flock(lock.number, operation);
      else flockBlocking(lock.number, operation);
      if (isCurrent(lock, path)) return lock;
      lock[Symbol.dispose]();
    } catch (error) {
      lock[Symbol.dispose]();
      if (isErrno(error, EAGAIN)) return undefined;
      throw error;
    }
  }
}

/** The lock that says that nobody has bridges any more; undefined where somebody has. */
export function lockAlive(folders: Folders): Fd | undefined {
  const alive = new Fd(open(holderPaths(folders).alive, O_RDWR | O_CREAT | O_CLOEXEC, 0o600));
  try {
    flock(alive.number, LOCK_EX | LOCK_NB);
    return alive;
  } catch (error) {
    alive[Symbol.dispose]();
    if (isErrno(error, EAGAIN)) return undefined;
    throw error;
  }
}

function isCurrent({ number }: Fd, path: string): boolean {
  try {
    return lstat(path).ino === fstat(number).ino;
  } catch (error) {
    if (isErrno(error, ENOENT)) return false;
    throw error;
  }
}

/** To be called with both of them. */
export function removeHolderLocks(folders: Folders): void {
  const { alive, lock } = holderPaths(folders);
  removeFiles(alive, lock);
}

export function removeHolderSockets(folders: Folders): void {
  const { requests, members } = holderPaths(folders);
  removeFiles(requests, members);
}

function removeFiles(...paths: string[]): void {
  for (const path of paths) {
    try {
      Deno.removeSync(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound) && !isErrno(error, ENOENT)) throw error;
    }
  }
}

/** The network namespace of this process: `net:[4026531840]`. */
export function ownNetns(): string {
  return Deno.readLinkSync("/proc/self/ns/net");
}

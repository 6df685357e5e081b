/**
 * GETLK, SETLK, SETLKW and FLUSH: locks are passed on, so that other containers and the host see them.
 *
 * A lock of flock(2) is the open file's. One of fcntl(2) belongs to a process: each gets a descriptor of its own on the
 * file, whose open-file-description locks are its locks, closed when the process closes the file (FLUSH). Who waits is
 * answered later; the lock is tried again after every unlocking and, for those held elsewhere, ever less often.
 *
 * @see fcntl(2), Open file description locks; flock(2)
 */

import { EACCES, EAGAIN, EBADF, EINTR, errno, ESTALE } from "../../../ffi/errno.ts";
import {
  F_OFD_GETLK,
  F_OFD_SETLK,
  F_RDLCK,
  F_UNLCK,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
} from "../../../ffi/constants/fcntl.ts";
import { FUSE_LK_FLOCK } from "../constants.ts";
import { DEFERRED, type Handler } from "../handler.ts";
import { IN, type Request } from "../request.ts";
import { rare } from "./calls.ts";
import { openNode } from "./files.ts";
import type { Tree } from "./tree.ts";

const O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2;
/** OFFSET_MAX: to the end of the file, however it grows. */
const TO_END = 0x7fffffffffffffffn;

/** One lock as it is asked for. */
interface Wish {
  nodeid: number;
  fh: number;
  owner: bigint;
  start: bigint;
  end: bigint;
  type: number;
  isFlock: boolean;
}

/** What is still waited for, and how it is tried again. */
export interface LockQueue {
  readonly operations: Handler;
  /** In how many ms somebody's turn is; -1 where nobody waits. */
  readonly waitMs: number;
  /** Tries all again. */
  retry(): void;
  /** An open file was closed by all who had it. */
  released(fh: number): void;
}

const SHORTEST_WAIT_MS = 1;
const LONGEST_WAIT_MS = 64;

export function lockOperations(tree: Tree, answer: (unique: bigint, code: number) => void): LockQueue {
  /** By file and owner: his descriptor, and the open file through which he asked first. */
  const owners = new Map<string, { fd: number; fh: number }>();
  /** By that open file. The owner of an open-file-description lock has no FLUSH: his locks go with it. */
  const askedThrough = new Map<number, Set<string>>();
  const waiting = new Map<bigint, Wish>();
  let waitMs = SHORTEST_WAIT_MS;
  let triedAtMs = 0;
  const flock = new Uint8Array(32);
  const view = new DataView(flock.buffer);

  const ownerKey = (nodeid: number, owner: bigint) => `${nodeid} ${owner}`;

  /** The descriptor whose locks are the owner's; -errno. */
  const descriptorOf = ({ nodeid, owner, type, fh }: Wish): number => {
    if (!tree.files.has(fh)) return -EBADF;
    const key = ownerKey(nodeid, owner);
    const known = owners.get(key);
    if (known !== undefined) return known.fd;
    const node = tree.nodes.get(nodeid);
    if (node === undefined) return -ESTALE;
    let fd = openNode(tree, node, O_RDWR);
    // what may not be written (or read) takes the locks that need no more
    if (fd === -EACCES) fd = openNode(tree, node, type === F_RDLCK ? O_RDONLY : O_WRONLY);
    if (fd < 0) return fd;
    owners.set(key, { fd, fh });
    const through = askedThrough.get(fh);
    if (through) through.add(key);
    else askedThrough.set(fh, new Set([key]));
    return fd;
  };

  const describe = ({ start, end, type }: Wish) => {
    flock.fill(0);
    view.setInt16(0, type, true);
    view.setBigInt64(8, start, true);
    view.setBigInt64(16, end >= TO_END ? 0n : end - start + 1n, true);
  };

  /** 0 or an errno; EAGAIN where somebody else has it. */
  const attempt = (wish: Wish): number => {
    if (wish.isFlock) {
      if (!tree.files.has(wish.fh)) return EBADF;
      const operation = wish.type === F_UNLCK ? LOCK_UN : wish.type === F_RDLCK ? LOCK_SH : LOCK_EX;
      return rare.flock(wish.fh, operation | LOCK_NB) === -1 ? errno() : 0;
    }
    const isUnlocked = wish.type === F_UNLCK && !owners.has(ownerKey(wish.nodeid, wish.owner));
    if (isUnlocked) return 0;
    const fd = descriptorOf(wish);
    if (fd < 0) return -fd;
    describe(wish);
    if (rare.fcntlBuffer(fd, F_OFD_SETLK, flock) !== -1) return 0;
    const code = errno();
    return code === EACCES ? EAGAIN : code;
  };

  const retry = () => {
    triedAtMs = performance.now();
    for (const [unique, wish] of waiting) {
      const code = attempt(wish);
      if (code === EAGAIN) continue;
      waiting.delete(unique);
      answer(unique, code);
    }
  };

  /** Those who wait in this tree need no timer to see what was let go in it. */
  const letGo = () => {
    waitMs = SHORTEST_WAIT_MS;
    if (waiting.size > 0) retry();
  };

  /** An owner's locks go with its descriptor. */
  const drop = (key: string) => {
    const owner = owners.get(key);
    if (owner === undefined) return;
    owners.delete(key);
    const through = askedThrough.get(owner.fh);
    if (through?.delete(key) && through.size === 0) askedThrough.delete(owner.fh);
    rare.close(owner.fd);
    letGo();
  };

  const operations: Handler = {
    getlk(request, reply) {
      const wish = readWish(request);
      const fd = descriptorOf(wish);
      if (fd < 0) return -fd;
      describe(wish);
      if (rare.fcntlBuffer(fd, F_OFD_GETLK, flock) === -1) return errno();
      const [start, length] = [view.getBigInt64(8, true), view.getBigInt64(16, true)];
      // who has it is a process elsewhere, without a number here
      reply.lock(start, length === 0n ? TO_END : start + length - 1n, view.getInt16(0, true), 0);
      return 0;
    },
    setlk(request) {
      const wish = readWish(request);
      const code = attempt(wish);
      if (wish.type === F_UNLCK) letGo();
      return code;
    },
    setlkw(request) {
      const wish = readWish(request);
      const code = attempt(wish);
      if (code !== EAGAIN) return code;
      if (waiting.size === 0) triedAtMs = performance.now();
      waiting.set(request.unique, wish);
      waitMs = SHORTEST_WAIT_MS;
      return DEFERRED;
    },
    flush(request) {
      if (!tree.files.has(request.u64(IN.flush.fh))) return EBADF;
      if (owners.size > 0) drop(ownerKey(request.nodeid, request.exactU64(IN.flush.lockOwner)));
      return 0;
    },
    interrupt(unique) {
      if (waiting.delete(unique)) answer(unique, EINTR);
    },
  };

  return {
    operations,
    get waitMs() {
      if (waiting.size === 0) return -1;
      return Math.max(0, Math.ceil(triedAtMs + waitMs - performance.now()));
    },
    retry() {
      retry();
      waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
    },
    released(fh) {
      for (const key of askedThrough.get(fh) ?? []) drop(key);
    },
  };
}

function readWish(request: Request): Wish {
  return {
    nodeid: request.nodeid,
    fh: request.u64(IN.lk.fh),
    owner: request.exactU64(IN.lk.owner),
    start: request.exactU64(IN.lk.start),
    end: request.exactU64(IN.lk.lockEnd),
    type: request.u32(IN.lk.type),
    isFlock: (request.u32(IN.lk.lkFlags) & FUSE_LK_FLOCK) !== 0,
  };
}

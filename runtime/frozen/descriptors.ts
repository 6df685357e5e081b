/**
 * The descriptors of a process that has just booted, as calls that make their like: the runtime's epoll and what
 * wakes it, the pipe of its signals, copies of 0, 1 and 2. Anything else cannot be made again, and is an error.
 *
 * They are numbered high from the start, out of the way of what a later caller passes on.
 */

import { SYSCALL } from "../../ffi/arch.ts";
import { F_GETFD, O_CLOEXEC, O_NONBLOCK } from "../../ffi/constants/fcntl.ts";
import { EPOLL_CTL_ADD } from "../../ffi/constants/poll.ts";
import { AF_UNIX, SOCK_STREAM } from "../../ffi/constants/socket.ts";
import { EBADF } from "../../ffi/errno.ts";
import { SLOT, type ThawProgram } from "../../ffi/thaw_program.ts";

/** What /proc tells of one. */
export interface Descriptor {
  fd: number;
  /** What its link reads. */
  link: string;
  /** @see proc_pid_fdinfo(5) */
  info: string;
}

/** Reads them from /proc/PID, sorted. */
export function readDescriptors(pid: number): Descriptor[] {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) => ({
    fd: Number(name),
    link: Deno.readLinkSync(`/proc/${pid}/fd/${name}`),
    info: Deno.readTextFileSync(`/proc/${pid}/fdinfo/${name}`),
  })).sort((a, b) => a.fd - b.fd);
}

/** 0, 1 and 2 must be there, before anything is opened that would take their place. */
export function addStandardChecks(program: ThawProgram): void {
  for (const fd of [0, 1, 2]) program.call(SYSCALL.fcntl, [fd, F_GETFD]);
}

/** The process's own must be free, and not be what this program has opened itself. */
export function addFreeChecks(program: ThawProgram, descriptors: readonly Descriptor[]): void {
  for (const { fd } of descriptors) {
    if (fd > 2) program.call(SYSCALL.fcntl, [fd, F_GETFD], { expect: -EBADF });
  }
}

/** The calls that make them. */
export function addDescriptors(program: ThawProgram, descriptors: readonly Descriptor[]): void {
  const standard = descriptors.filter(({ fd }) => fd <= 2);
  if (new Set(standard.map(({ link }) => link)).size !== 3) {
    throw new Error("freeze: 0, 1 and 2 must be three different files");
  }
  const own = descriptors.filter(({ fd }) => fd > 2);
  const made = new Map<string, number>();
  const pair: string[] = [];
  const copy = (from: number, to: number, firstFrom?: bigint) =>
    program.call(SYSCALL.dup3, [from, to, O_CLOEXEC], { firstFrom });
  const moveMade = (to: number, from = SLOT.made) => {
    copy(0, to, from);
    program.call(SYSCALL.close, [0], { firstFrom: from });
  };
  for (const { fd, link, info } of own) {
    const original = standard.find((one) => one.link === link)?.fd ?? made.get(link);
    if (original !== undefined) {
      copy(original, fd);
      continue;
    }
    if (link === "anon_inode:[eventfd]") {
      const count = Number(`0x${info.match(/^eventfd-count:\s*(\w+)/m)?.[1] ?? 0}`);
      program.call(SYSCALL.eventfd2, [count, O_CLOEXEC | O_NONBLOCK], { storeAt: SLOT.made });
      moveMade(fd);
    } else if (link === "anon_inode:[eventpoll]") {
      // One is made; every other is taken for its copy, as the runtime makes them.
      program.call(SYSCALL.epoll_create1, [O_CLOEXEC], { storeAt: SLOT.made });
      moveMade(fd);
    } else if (link.startsWith("socket:") && pair.length < 2) {
      if (pair.length === 0) {
        program.call(SYSCALL.socketpair, [AF_UNIX, SOCK_STREAM | O_CLOEXEC | O_NONBLOCK, 0, SLOT.pair]);
      }
      moveMade(fd, SLOT.pair + BigInt(4 * pair.length));
      pair.push(link);
    } else {
      throw new Error(`freeze: descriptor ${fd} is ${link}`);
    }
    // an eventfd's link names no inode: two of them are two
    if (link !== "anon_inode:[eventfd]") made.set(link, fd);
  }
  for (const { fd, link, info } of own) {
    if (link === "anon_inode:[eventpoll]" && made.get(link) === fd) addWatches(program, fd, info);
  }
}

/** `tfd: 4 events: 80002019 data: 0` of an epoll's fdinfo. */
function addWatches(program: ThawProgram, epoll: number, info: string): void {
  for (const [, fd, events, data] of info.matchAll(/^tfd:\s*(\d+) events:\s*(\w+) data:\s*(\w+)/gm)) {
    // struct epoll_event, packed on x86-64
    const event = new DataView(new ArrayBuffer(12));
    event.setUint32(0, parseInt(events!, 16), true);
    event.setBigUint64(4, BigInt(`0x${data}`), true);
    const at = program.put(new Uint8Array(event.buffer));
    program.call(SYSCALL.epoll_ctl, [epoll, EPOLL_CTL_ADD, Number(fd), at]);
  }
}

/** Waiting for descriptors. Calls that wait are for forked children only. @see epoll(7), poll(2), timerfd_create(2) */

import { EPOLL_EVENT } from "./arch.ts";
import { cstring } from "./cstring.ts";
import { check, EINTR, errno, retry, SyscallError } from "./errno.ts";
import { compileFunction, failure, libc } from "./libc.ts";
import { EPOLL_CTL_DEL } from "./constants/poll.ts";

/** @see epoll_create1(2) */
export function epoll_create1(flags: number): number {
  return check("epoll_create1", libc("poll").epoll_create1(flags));
}

/** Adds, changes or removes `fd`, which is also the event's data. @see epoll_ctl(2) */
export function epoll_ctl(epfd: number, operation: number, fd: number, events: number): void {
  const event = new Uint8Array(EPOLL_EVENT.size);
  const view = new DataView(event.buffer);
  view.setUint32(0, events >>> 0, true);
  view.setInt32(EPOLL_EVENT.dataOffset, fd, true);
  const result = libc("poll").epoll_ctl(epfd, operation, fd, operation === EPOLL_CTL_DEL ? null : event);
  check("epoll_ctl", result, `fd ${fd}`);
}

/** Waits after which a compiled function is worth the 0.2 ms that it takes: a network's, not those of most monitors. */
const COMPILE_AFTER_WAITS = 2000;

let waits = 0;
let fastWait: ReturnType<typeof libc<"poll">>["epoll_pwait"] | undefined;

/** A reusable array of struct epoll_event. */
export class EpollEvents {
  readonly #buffer: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  constructor(readonly capacity: number) {
    this.#buffer = new Uint8Array(capacity * EPOLL_EVENT.size);
    this.#view = new DataView(this.#buffer.buffer);
  }

  /** Waits up to `timeoutMs` (-1: for ever); gives the number of events, 0 on a timeout or signal. @see epoll_wait(2) */
  waitBlocking(epfd: number, timeoutMs: number): number {
    if (++waits === COMPILE_AFTER_WAITS) fastWait = compileFunction("poll", "epoll_pwait");
    let count: number, code: number;
    if (fastWait === undefined) {
      count = libc("poll").epoll_pwait(epfd, this.#buffer, this.capacity, timeoutMs, null);
      code = errno();
    } else {
      count = fastWait(epfd, this.#buffer, this.capacity, timeoutMs, null);
      code = failure.word[0]!;
    }
    if (count !== -1) return count;
    if (code === EINTR) return 0;
    throw new SyscallError("epoll_wait", code);
  }

  /** EPOLL* bits of the event at `index`. */
  events(index: number): number {
    return this.#view.getUint32(index * EPOLL_EVENT.size, true);
  }

  /** The descriptor of the event at `index`. */
  fd(index: number): number {
    return this.#view.getInt32(index * EPOLL_EVENT.size + EPOLL_EVENT.dataOffset, true);
  }
}

/** Waits for one descriptor; gives its revents, 0 on a timeout. @see poll(2) */
export function pollBlocking(fd: number, events: number, timeoutMs: number): number {
  const entry = new Uint8Array(8);
  const view = new DataView(entry.buffer);
  view.setInt32(0, fd, true);
  view.setInt16(4, events, true);
  // struct timespec; none waits for ever.
  const timeout = timeoutMs < 0 ? null : new Uint8Array(
    new BigInt64Array([BigInt(Math.floor(timeoutMs / 1000)), BigInt(timeoutMs % 1000) * 1_000_000n]).buffer,
  );
  retry("ppoll", () => libc("poll").ppoll(entry, 1, timeout, null));
  return view.getUint16(6, true);
}

/** @see timerfd_create(2) */
export function timerfd_create(clock: number, flags: number): number {
  return check("timerfd_create", libc("poll").timerfd_create(clock, flags));
}

/** Arms once in `firstMs`, then every `intervalMs`; 0 and 0 disarm. @see timerfd_settime(2) */
export function timerfd_settime(fd: number, firstMs: number, intervalMs = 0): void {
  const time = (
    ms: number,
  ): [bigint, bigint] => [BigInt(Math.floor(ms / 1000)), BigInt(Math.round((ms % 1000) * 1e6))];
  const spec = new BigInt64Array([...time(intervalMs), ...time(firstMs)]);
  check("timerfd_settime", libc("poll").timerfd_settime(fd, 0, new Uint8Array(spec.buffer), null));
}

/** @see eventfd(2) */
export function eventfd(initial: number, flags: number): number {
  return check("eventfd", libc("poll").eventfd(initial, flags));
}

/** @see inotify_init1(2) */
export function inotify_init1(flags: number): number {
  return check("inotify_init1", libc("poll").inotify_init1(flags));
}

/** @see inotify_add_watch(2) */
export function inotify_add_watch(fd: number, path: string, mask: number): number {
  return check("inotify_add_watch", libc("poll").inotify_add_watch(fd, cstring(path), mask), path);
}

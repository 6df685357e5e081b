/**
 * The one loop of a monitor: descriptors by epoll, timers by its timeout. Level-triggered, so a handler may
 * do a bounded piece of work and is called again.
 *
 * @see epoll(7)
 */

import {
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLIN,
} from "../../ffi/constants/poll.ts";
import { close } from "../../ffi/file.ts";
import type { Lead } from "../network/monitor_network.ts";
import { epoll_create1, epoll_ctl, EpollEvents } from "../../ffi/poll.ts";

/** Called with EPOLL* bits. */
export type Handler = (events: number) => void;

/** A callback that runs once, unless it is cancelled. */
export interface Timer {
  atMs: number;
  callback: () => void;
}

const EVENTS_A_ROUND = 32;

export class EventLoop {
  readonly #epoll = epoll_create1(EPOLL_CLOEXEC);
  readonly #handlers = new Map<number, { handler: Handler; round: number }>();
  /** Counts the looks at what is ready. */
  #rounds = 0;
  readonly #ready = new EpollEvents(EVENTS_A_ROUND);
  /** Few at a time: unsorted. */
  readonly #timers = new Set<Timer>();
  #lead: Lead | undefined;
  #isStopped = false;

  /** An epoll descriptor: readable while a handler is to be called. */
  get fd(): number {
    return this.#epoll;
  }

  /** Leaves the waiting to `lead`, or takes it back. */
  follow(lead: Lead | undefined): void {
    this.#lead = lead;
  }

  /**
   * Calls `handler` while `fd` is ready for one of `events`; at most one handler a descriptor. An `events`
   * of 0 waits for errors only.
   */
  watch(fd: number, handler: Handler, events: number = EPOLLIN): void {
    if (this.#handlers.has(fd)) return;
    epoll_ctl(this.#epoll, EPOLL_CTL_ADD, fd, events);
    this.#handlers.set(fd, { handler, round: this.#rounds });
  }

  /** Changes what `fd` is waited for, if it is. */
  change(fd: number, events: number): void {
    if (this.#handlers.has(fd)) epoll_ctl(this.#epoll, EPOLL_CTL_MOD, fd, events);
  }

  /** To be called before `fd` is closed. */
  unwatch(fd: number): void {
    if (!this.#handlers.delete(fd)) return;
    epoll_ctl(this.#epoll, EPOLL_CTL_DEL, fd, 0);
  }

  /** For a descriptor that was closed already, which also took it out of the epoll set. */
  forget(fd: number): void {
    this.#handlers.delete(fd);
  }

  after(ms: number, callback: () => void): Timer {
    const timer = { atMs: performance.now() + ms, callback };
    this.#timers.add(timer);
    return timer;
  }

  cancel(timer: Timer | undefined): void {
    if (timer !== undefined) this.#timers.delete(timer);
  }

  /** Runs until `stop`, which may have come before. For forked children only: it blocks. */
  runBlocking(): void {
    while (!this.#isStopped) this.#round();
    this.#isStopped = false;
  }

  /** Ends the loop when the handlers of this round are done; it can be run again. */
  stop(): void {
    this.#isStopped = true;
  }

  dispose(): void {
    close(this.#epoll);
  }

  #round(): void {
    const timeoutMs = this.#timeoutMs();
    if (this.#lead === undefined) this.#serve(timeoutMs);
    else if (this.#lead.wait(timeoutMs)) this.#serve(0);
    if (this.#timers.size === 0) return;
    const nowMs = performance.now();
    for (const timer of [...this.#timers]) {
      if (timer.atMs <= nowMs && this.#timers.delete(timer)) timer.callback();
    }
  }

  #serve(timeoutMs: number): void {
    const count = this.#ready.waitBlocking(this.#epoll, timeoutMs);
    this.#rounds++;
    for (let index = 0; index < count; index++) {
      const watched = this.#handlers.get(this.#ready.fd(index));
      // what was ready is not that one, but another that had its number at the beginning of the round
      if (watched === undefined || watched.round === this.#rounds) continue;
      watched.handler(this.#ready.events(index));
    }
  }

  /** Rounded up, so that a timer is due when epoll_wait returns for it. */
  #timeoutMs(): number {
    if (this.#timers.size === 0) return -1;
    let next = Infinity;
    for (const timer of this.#timers) next = Math.min(next, timer.atMs);
    return Math.min(0x7fffffff, Math.max(0, Math.ceil(next - performance.now())));
  }
}

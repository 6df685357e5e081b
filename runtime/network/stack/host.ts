/**
 * The stack's own loop: an edge-triggered epoll set for its sockets, one timerfd for all its timers, and work that was
 * put off. Its epoll descriptor is itself readable while there is something to do, so whoever holds the stack watches
 * that one descriptor and calls `work`, which never waits; or lets the stack wait for both (`lead`).
 *
 * @see epoll(7): an epoll descriptor can be watched by another
 */

import { EPOLL_EVENT } from "../../../ffi/arch.ts";
import {
  CLOCK_MONOTONIC,
  EFD_CLOEXEC,
  EFD_NONBLOCK,
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLET,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
  TFD_CLOEXEC,
  TFD_NONBLOCK,
} from "../../../ffi/constants/poll.ts";
import { SyscallError } from "../../../ffi/errno.ts";
import { awaitEvents, closeSocket, controlEvents, Memory, monotonicMs } from "../../../ffi/inet.ts";
import { read, write } from "../../../ffi/file.ts";
import type { Lead } from "../monitor_network.ts";
import { epoll_create1, eventfd, timerfd_create, timerfd_settime } from "../../../ffi/poll.ts";
import { Queue } from "./queue.ts";

/** Called with EPOLL* bits, once for each change: read or write until EAGAIN, or `defer` the rest. */
export type EventHandler = (events: number) => void;

/** A callback that runs once. */
export interface Timer {
  /** Whole milliseconds. */
  atMs: number;
  callback: () => void;
  /** Its place in the heap; -1 when it is not in it. */
  index: number;
}

/** The stack's clock, which tests put forward. */
export const clock = { nowMs: monotonicMs };

const EVENTS_A_ROUND = 64;
/** Rounds of one `work`: events that came while others were handled need no turn of the holder's loop. */
const ROUNDS = 4;
/** With fewer events in a round, the holder's loop finds what came meanwhile as fast. */
const BUSY_EVENTS = 3;
/** Deferred tasks of a round. */
const TASKS_A_ROUND = 32;

export class Host {
  /** To be watched for EPOLLIN, level-triggered. */
  readonly fd = epoll_create1(EPOLL_CLOEXEC);
  /** Whole milliseconds of a monotonic clock, as of the beginning of this work: others are objects until code is compiled. */
  nowMs = Math.floor(clock.nowMs());
  readonly #timerFd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  /** Keeps `fd` readable while tasks wait. */
  readonly #wakeFd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  #isAwake = false;
  readonly #handlers: (EventHandler | undefined)[] = [];
  /** By descriptor, as its events name it: those of the same round may be of a file that had the number before. */
  readonly #generations: number[] = [];
  #generation = 0;
  readonly #events = new Memory(EVENTS_A_ROUND * EPOLL_EVENT.size);
  readonly #event = new Memory(EPOLL_EVENT.size);
  readonly #timers: Timer[] = [];
  #armedMs = Infinity;
  readonly #tasks = new Queue<() => void>();
  /** Called when the events, timers and tasks of a round are done: for what is better done once for all of them. */
  afterRound: () => void = () => {};
  readonly #onFault: (error: unknown) => void;
  #isLeading = false;
  #isHolderReady = false;

  constructor(onFault: (error: unknown) => void) {
    this.#onFault = onFault;
    this.#add(this.#timerFd, () => this.#armedMs = Infinity, EPOLLIN | EPOLLET);
    this.#add(this.#wakeFd, () => {}, EPOLLIN);
  }

  /** Calls `handler` when `fd` becomes ready (edge-triggered); at once if it is. Throws SyscallError. */
  watch(
    fd: number,
    handler: EventHandler,
    events: number = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP,
  ): void {
    this.#add(fd, handler, events | EPOLLET);
  }

  /** As `watch`, but calls `handler` again while the descriptor can be read. */
  watchLevel(fd: number, handler: EventHandler): void {
    this.#add(fd, handler, EPOLLIN);
  }

  /** Calls its handler for `events` alone from now on (edge-triggered); at once if it is ready. */
  change(fd: number, events: number): void {
    this.#control(EPOLL_CTL_MOD, fd, events | EPOLLET, this.#generations[fd]!);
  }

  #add(fd: number, handler: EventHandler, events: number): void {
    this.#generation = (this.#generation + 1) | 0;
    this.#control(EPOLL_CTL_ADD, fd, events, this.#generation);
    this.#handlers[fd] = handler;
    this.#generations[fd] = this.#generation;
  }

  #control(operation: number, fd: number, events: number, generation: number): void {
    const { view, pointer } = this.#event;
    view.setUint32(0, events >>> 0, true);
    view.setInt32(EPOLL_EVENT.dataOffset, fd, true);
    view.setInt32(EPOLL_EVENT.dataOffset + 4, generation, true);
    const result = controlEvents(this.fd, operation, fd, pointer);
    if (result < 0) throw new SyscallError("epoll_ctl", -result, `fd ${fd}`);
  }

  /** Ends watching a descriptor that stays open. */
  unwatch(fd: number): void {
    this.forget(fd);
    controlEvents(this.fd, EPOLL_CTL_DEL, fd, this.#event.pointer);
  }

  /** For a descriptor that is about to be closed, which takes it out of the set, if nobody else has it open. */
  forget(fd: number): void {
    this.#handlers[fd] = undefined;
  }

  after(ms: number, callback: () => void): Timer {
    // `nowMs` is old where the holder asks for something outside of `work`
    const timer = { atMs: Math.ceil(clock.nowMs() + ms), callback, index: -1 };
    this.arm(timer);
    return timer;
  }

  /** Puts a timer, new or used, where its `atMs` says. */
  arm(timer: Timer): void {
    if (timer.index < 0) {
      timer.index = this.#timers.length;
      this.#timers.push(timer);
    }
    this.#sift(timer);
  }

  cancel(timer: Timer | undefined): void {
    if (timer === undefined || timer.index < 0) return;
    const last = this.#timers.pop()!;
    if (last !== timer) {
      last.index = timer.index;
      this.#timers[last.index] = last;
      this.#sift(last);
    }
    timer.index = -1;
  }

  /** Moves a timer up or down to its place in the heap. Allocates nothing: all connections' timers go through it. */
  #sift(timer: Timer): void {
    const heap = this.#timers;
    const { atMs } = timer;
    let at = timer.index;
    while (at > 0) {
      const parent = heap[(at - 1) >> 1]!;
      if (parent.atMs <= atMs) break;
      this.#place(parent, at);
      at = (at - 1) >> 1;
    }
    for (let below = 2 * at + 1; below < heap.length; below = 2 * at + 1) {
      if (below + 1 < heap.length && heap[below + 1]!.atMs < heap[below]!.atMs) below++;
      const child = heap[below]!;
      if (child.atMs >= atMs) break;
      this.#place(child, at);
      at = below;
    }
    this.#place(timer, at);
  }

  #place(timer: Timer, index: number): void {
    this.#timers[index] = timer;
    timer.index = index;
  }

  /** Runs `task` in a later round: what is left of work that would be too much at once. */
  defer(task: () => void): void {
    this.#tasks.push(task);
  }

  /** A bounded piece of work. Never throws: faults are reported, and the work goes on with the next event. */
  work(): void {
    this.#workFor(0);
    if (this.#isLeading) return;
    this.#stayAwake(this.#tasks.size > 0);
    this.#armTimer();
  }

  /**
   * Waits in place of the holder's loop, with the epoll descriptor `loopFd`, from now on: the loop does not watch `fd`.
   * Neither timerfd nor eventfd is needed then, and a turn costs one call instead of three.
   */
  lead(loopFd: number): Lead {
    this.watchLevel(loopFd, () => this.#isHolderReady = true);
    this.#isLeading = true;
    return {
      wait: (timeoutMs) => {
        // what the holder has served meanwhile may have taken long
        if (this.#isHolderReady) this.nowMs = Math.floor(clock.nowMs());
        this.#isHolderReady = false;
        this.#workFor(this.#patienceMs(timeoutMs));
        return this.#isHolderReady;
      },
    };
  }

  /** Compiled code that meets the first read beyond an array's end is thrown away, and the whole turn's with it. */
  get #nextTimer(): Timer | undefined {
    return this.#timers.length === 0 ? undefined : this.#timers[0];
  }

  /** How long to wait at most: rounded up, so that a timer is due then. */
  #patienceMs(timeoutMs: number): number {
    if (this.#tasks.size > 0) return 0;
    const next = this.#nextTimer;
    if (next === undefined) return timeoutMs;
    // late by what the work since then took, which spares asking the clock at each turn
    const ownMs = Math.max(0, Math.ceil(next.atMs - this.nowMs));
    return timeoutMs < 0 ? ownMs : Math.min(ownMs, timeoutMs);
  }

  #workFor(patienceMs: number): void {
    for (let round = 0; round < ROUNDS; round++) {
      const timeoutMs = round === 0 ? patienceMs : 0;
      const count = awaitEvents(this.fd, this.#events.pointer, EVENTS_A_ROUND, timeoutMs);
      if (round === 0) this.nowMs = Math.floor(clock.nowMs());
      const { view } = this.#events;
      for (let index = 0; index < count; index++) {
        const at = index * EPOLL_EVENT.size;
        const events = view.getUint32(at, true);
        const fd = view.getInt32(at + EPOLL_EVENT.dataOffset, true);
        const handler = this.#handlers[fd];
        if (handler === undefined) continue;
        if (view.getInt32(at + EPOLL_EVENT.dataOffset + 4, true) !== this.#generations[fd]) continue;
        try {
          handler(events);
        } catch (error) {
          this.#onFault(error);
        }
      }
      this.#runTimers();
      const ran = this.#runTasks();
      this.attempt(this.afterRound);
      if (count < BUSY_EVENTS && !ran) break;
    }
  }

  #runTimers(): void {
    for (
      let timer = this.#nextTimer;
      timer !== undefined && timer.atMs <= this.nowMs;
      timer = this.#nextTimer
    ) {
      this.cancel(timer);
      this.attempt(timer.callback);
    }
  }

  #runTasks(): boolean {
    const count = Math.min(TASKS_A_ROUND, this.#tasks.size);
    for (let left = count; left > 0; left--) this.attempt(this.#tasks.shift()!);
    return count > 0;
  }

  /** Runs `task`; what it throws is recorded. */
  attempt(task: () => void): void {
    try {
      task();
    } catch (error) {
      this.#onFault(error);
    }
  }

  #stayAwake(shall: boolean): void {
    if (shall === this.#isAwake) return;
    this.#isAwake = shall;
    if (shall) write(this.#wakeFd, ONE);
    else read(this.#wakeFd, new Uint8Array(8));
  }

  #armTimer(): void {
    const next = this.#nextTimer?.atMs ?? Infinity;
    // an earlier alarm than needed costs one turn, a later one would be late
    if (next >= this.#armedMs) return;
    this.#armedMs = next;
    timerfd_settime(this.#timerFd, Math.max(0.001, next - clock.nowMs()));
  }

  dispose(): void {
    for (const fd of [this.#timerFd, this.#wakeFd, this.fd]) closeSocket(fd);
    this.#timers.length = 0;
    this.#tasks.clear();
  }
}

const ONE = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]);

/**
 * The guest's bytes on their way to the host's socket: sent from the memory they were read into where the socket takes
 * them, else queued; what comes out of order waits for what is missing.
 */

import { MSG_OOB } from "../../../ffi/constants/inet.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL } from "../../../ffi/constants/socket.ts";
import { EAGAIN, EINTR } from "../../../ffi/errno.ts";
import { Memory, sendFrom } from "../../../ffi/inet.ts";
import type { Budget } from "./tcp_host_stream.ts";
import { isBefore } from "./tcp_segment.ts";
import { type Slot, SLOT_BYTES, type SlotPool } from "./slots.ts";

/**
 * What a connection may have under way to a host that takes it: six of the largest segments. They all lie in the one queue
 * of the interface, where each packet of others waits behind them.
 */
export const WINDOW = 384 << 10;
/** While memory is short. */
const SMALL_WINDOW = 16 << 10;
/** Less is copied, so that its slot is free. */
const KEEP_SLOT_FROM = 16 << 10;
/** Small pieces share memory of this size: each of its own would cost far more than its bytes, which the budget counts. */
const COPY_BYTES = 4 << 10;
/** Gaps that are remembered. */
const EARLY_MAX = 64;
/** What an array costs beside its bytes. */
const EARLY_OVERHEAD_BYTES = 256;

/** Bytes that the socket did not take yet. */
interface Chunk {
  memory: Memory;
  slot: Slot | undefined;
  at: number;
  end: number;
}

interface Early {
  begin: number;
  bytes: Uint8Array<ArrayBuffer>;
}

export class Receiver {
  /** The number that comes next. */
  next = 0;
  /** The number up to which the guest may send; it never moves back. */
  edge = 0;
  /** An errno of the socket, once it has failed. */
  error = 0;
  /** The guest sends no more: its FIN came, and all before it. */
  isEnded = false;
  queuedBytes = 0;
  #queue: Chunk[] = [];
  /** In order, without overlaps. */
  #early: Early[] = [];
  #newest = 0;
  #finAt: number | undefined;
  readonly #budget: Budget;
  readonly #pool: SlotPool;

  constructor(budget: Budget, pool: SlotPool) {
    this.#budget = budget;
    this.#pool = pool;
  }

  /** Begins behind the guest's SYN. */
  start(sequence: number): void {
    this.next = this.edge = sequence;
  }

  get hasGap(): boolean {
    return this.#early.length > 0;
  }

  /** Whether the host has all that came. */
  get isFlushed(): boolean {
    return this.#queue.length === 0;
  }

  /** The guest may send more, and nothing of it is missing or waits here. */
  get isQuiet(): boolean {
    return this.isFlushed && !this.hasGap && this.#finAt === undefined && this.error === 0;
  }

  /**
   * Takes the data of a segment, which the window let through at least in part.
   *
   * @param urgentBytes how many of them, from the first on, end in an urgent one
   * @returns whether the slot is kept: it goes back to the pool later
   */
  take(fd: number, slot: Slot, sequence: number, offset: number, length: number, urgentBytes = 0): boolean {
    const skip = Math.max(0, (this.next - sequence) | 0);
    const begin = (sequence + skip) | 0;
    const count = Math.min(length - skip, (this.edge - begin) | 0);
    if (count <= 0) return false;
    if (begin !== this.next) {
      this.#keepEarly(begin, slot, offset + skip, count);
      return false;
    }
    // behind a queue the mark is lost and the byte goes in line
    const urgent = urgentBytes - skip;
    const hasMark = urgent > 0 && urgent <= count && this.isFlushed && this.error === 0;
    const sent = hasMark ? this.#send(fd, slot.at(offset + skip, urgent), urgent, MSG_OOB) : 0;
    this.next = (this.next + sent) | 0;
    const isKept = count > sent && this.#push(fd, slot, offset + skip + sent, count - sent);
    if (this.#early.length > 0) this.#takeEarly(fd);
    this.#reachFin();
    return isKept;
  }

  /** The guest's FIN has this number. */
  takeFin(sequence: number): void {
    if (!isBefore(this.edge, sequence)) this.#finAt ??= sequence;
    this.#reachFin();
  }

  #reachFin(): void {
    if (this.#finAt === this.next && !this.isEnded) {
      this.isEnded = true;
      this.next = (this.next + 1) | 0;
    }
  }

  /** Sends, and queues what is left. Moves `next` over what was taken: without memory that is less than all. */
  #push(fd: number, slot: Slot, offset: number, length: number): boolean {
    let sent = 0;
    if (this.#queue.length === 0 && this.error === 0) {
      sent = this.#send(fd, slot.at(offset, length), length, 0);
    }
    this.next = (this.next + sent) | 0;
    const rest = length - sent;
    if (rest === 0 || this.error !== 0) return false;
    if (this.#budget.isShort) return false;
    this.next = (this.next + rest) | 0;
    this.queuedBytes += rest;
    if (rest >= KEEP_SLOT_FROM) {
      this.#budget.used += SLOT_BYTES;
      this.#queue.push({ memory: slot, slot, at: offset + sent, end: offset + length });
      return true;
    }
    const bytes = slot.bytes.subarray(offset + sent, offset + length);
    const last = this.#queue.at(-1);
    if (last !== undefined && last.slot === undefined && last.memory.bytes.length - last.end >= rest) {
      last.memory.bytes.set(bytes, last.end);
      last.end += rest;
      return false;
    }
    const memory = new Memory(Math.max(rest, COPY_BYTES));
    memory.bytes.set(bytes);
    this.#budget.used += memory.bytes.length;
    this.#queue.push({ memory, slot: undefined, at: 0, end: rest });
    return false;
  }

  /** Gives how many bytes the socket took. */
  #send(fd: number, pointer: Deno.PointerValue, length: number, flags: number): number {
    for (;;) {
      const sent = sendFrom(fd, pointer, length, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent >= 0) return sent;
      if (sent === -EINTR) continue;
      if (sent !== -EAGAIN) this.error = -sent;
      return 0;
    }
  }

  /** Sends what is queued, as far as the socket takes it. */
  flush(fd: number): void {
    let done = 0;
    for (const chunk of this.#queue) {
      const length = chunk.end - chunk.at;
      const pointer = Deno.UnsafePointer.offset(chunk.memory.pointer!, chunk.at);
      const sent = this.#send(fd, pointer, length, 0);
      this.queuedBytes -= sent;
      chunk.at += sent;
      if (chunk.at < chunk.end) break;
      this.#free(chunk);
      done++;
    }
    if (done > 0) this.#queue.splice(0, done);
  }

  #free({ slot, memory }: Chunk): void {
    if (slot !== undefined) this.#pool.give(slot);
    this.#budget.used -= slot !== undefined ? SLOT_BYTES : memory.bytes.length;
  }

  /** Copies the parts that nothing early covers yet. */
  #keepEarly(begin: number, slot: Slot, offset: number, length: number): void {
    let [from, at, left] = [begin, offset, length];
    const end = (begin + length) | 0;
    this.#newest = begin;
    for (let index = 0; index <= this.#early.length && left > 0; index++) {
      const other = this.#early[index];
      const otherBegin = other === undefined ? end : other.begin;
      if (isBefore(from, otherBegin)) {
        const count = Math.min(left, (otherBegin - from) | 0);
        if (this.#budget.isShort || this.#early.length >= EARLY_MAX) return;
        this.#early.splice(index, 0, { begin: from, bytes: slot.bytes.slice(at, at + count) });
        this.#budget.used += count + EARLY_OVERHEAD_BYTES;
        from = (from + count) | 0;
        at += count;
        left -= count;
      } else if (other !== undefined) {
        const covered = Math.min(left, ((other.begin + other.bytes.length) - from) | 0);
        if (covered <= 0) continue;
        from = (from + covered) | 0;
        at += covered;
        left -= covered;
      }
    }
  }

  /** Takes what is no longer early. */
  #takeEarly(fd: number): void {
    while (this.#early.length > 0) {
      const { begin, bytes } = this.#early[0]!;
      if (isBefore(this.next, begin)) return;
      const skip = Math.max(0, (this.next - begin) | 0);
      if (skip < bytes.length) {
        const slot = this.#pool.take();
        slot.bytes.set(bytes);
        const before = this.next;
        const isKept = this.#push(fd, slot, skip, bytes.length - skip);
        if (!isKept) this.#pool.give(slot);
        // no memory, or a broken socket: the rest is asked for again
        if (((this.next - before) | 0) < bytes.length - skip) return;
      }
      this.#early.shift();
      this.#budget.used -= bytes.length + EARLY_OVERHEAD_BYTES;
    }
  }

  /** Ranges that came early, put together, that of the newest segment first. @see RFC 2018, 4 */
  blocks(): [begin: number, end: number][] {
    const blocks: [number, number][] = [];
    for (const { begin, bytes } of this.#early) {
      const last = blocks.at(-1);
      const end = (begin + bytes.length) | 0;
      if (last !== undefined && last[1] === begin) last[1] = end;
      else blocks.push([begin, end]);
    }
    const newest = blocks.findIndex(([begin, end]) =>
      !isBefore(this.#newest, begin) && isBefore(this.#newest, end)
    );
    if (newest > 0) blocks.unshift(...blocks.splice(newest, 1));
    return blocks;
  }

  /** The window as it stands in a header with this scale: the edge moves on, never back. */
  advertise(scale: number): number {
    const room = (this.#budget.isShort ? SMALL_WINDOW : WINDOW) - this.queuedBytes;
    const wanted = Math.min(0xffff, Math.max(0, room) >> scale) << scale;
    const kept = (this.edge - this.next) | 0;
    if (wanted > kept) this.edge = (this.next + wanted) | 0;
    // rounded down: what the guest reads of it may be a little less than the edge
    return Math.min(0xffff, Math.max(0, (this.edge - this.next) | 0) >> scale);
  }

  /** Whether much more may come than the guest knows. */
  shallTellWindow(mss: number): boolean {
    const known = (this.edge - this.next) | 0;
    const room = (this.#budget.isShort ? SMALL_WINDOW : WINDOW) - this.queuedBytes;
    return room - known >= Math.min(2 * mss, WINDOW / 2) && known < WINDOW / 2;
  }

  dispose(): void {
    if (this.#queue.length + this.#early.length === 0) return;
    for (const chunk of this.#queue) this.#free(chunk);
    for (const { bytes } of this.#early) this.#budget.used -= bytes.length + EARLY_OVERHEAD_BYTES;
    this.#queue.length = this.#early.length = 0;
    this.queuedBytes = 0;
  }
}

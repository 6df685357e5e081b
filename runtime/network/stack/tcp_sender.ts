/**
 * The host's bytes on their way to the guest: windows, retransmission and congestion. The link loses nothing by itself,
 * so it begins with a wide window; behind a bridge, or with a guest short of memory, segments do get lost.
 *
 * @see RFC 9293, RFC 5681, RFC 6298 (timer), RFC 6675 (recovery with SACK), RFC 6582 (without)
 */

import { EAGAIN, EINTR } from "../../../ffi/errno.ts";
import type { HostStream } from "./tcp_host_stream.ts";
import { ACK, FIN, isBefore, PSH, type Segment, URG } from "./tcp_segment.ts";
import type { Lanes, Slot } from "./slots.ts";

const INITIAL_CWND = 1 << 20;
const CWND_MAX = 8 << 20;
const RTO_MIN_MS = 200;
const RTO_MAX_MS = 60_000;
const INITIAL_RTO_MS = 1000;
/** Doubled each time: 160 seconds in all. */
const RETRIES_MAX = 10;
const DUPLICATES = 3;
/** Ranges of the guest's SACK that are remembered. */
const RANGES_MAX = 64;
/** The largest payload whose packet fits into a slot, behind an IPv6 header; the MSS of an MTU of 65,520 among them. */
const PAYLOAD_MAX = 65_480;
/** The guest's kernel cuts what is longer than the MSS: a hostile one must not make it many. */
const SEGMENTS_MAX = 64;

/** No time. */
export const NEVER = 0;

export interface SegmentOutput {
  /** Memory to build a segment in, and where its payload goes. */
  readonly out: Slot;
  readonly payloadOffset: number;
  /** For several segments at once. */
  readonly lanes: Lanes;
  /** Sends a segment with the payload that is in `slot`, or else `out`; of it or behind it, `urgent` bytes up to the urgent one. */
  emit(sequence: number, flags: number, length: number, urgent: number, slot?: Slot): void;
}

export class Sender {
  /** The oldest number that is not acknowledged, the next to be sent, and the highest that was sent. */
  una = 0;
  next = 0;
  max = 0;
  mss = 536;
  windowScale = 0;
  window = 0;
  #windowMax = 0;
  #windowSequence = 0;
  #windowAck = 0;
  #cwnd = INITIAL_CWND;
  #ssthresh = CWND_MAX;
  #duplicates = 0;
  /** The number that ends a recovery, or the sending again after a timeout: before it no new one begins (RFC 6582). */
  #recover = 0;
  isRecovering = false;
  /** In recovery: up to here holes were filled again. */
  #filled = 0;
  /** What the guest has beyond `una`: begins and ends, in order. */
  #ranges: number[] = [];
  /** The socket may have something: an event said so, and it has not given less than was asked for since. */
  isReadable = false;
  /** The last read gave all that was asked for. */
  #isBulk = false;
  /** Less than was asked for does not mean that there is no more: its end may be next, or urgent data. */
  readsOn = false;
  /** The host has sent an urgent byte, and its place was not reached yet. */
  isMarkAhead = false;
  /** The number behind the urgent byte that was found last. */
  #urgent: number | undefined;
  /** Nothing new is read for the guest. */
  isHeld = false;
  /** The host sends no more: FIN is sent behind the last byte. */
  isEnded = false;
  #fin: number | undefined;
  isFinAcknowledged = false;
  /** An errno of the socket, once it has failed. */
  error = 0;
  rtoMs = INITIAL_RTO_MS;
  #srttMs = 0;
  #rttvarMs = 0;
  #timed: number | undefined;
  #timedAtMs = 0;
  #retries = 0;
  /** When something has to be sent again; NEVER when nothing has. Whole milliseconds, as all times: others are objects. */
  deadlineMs = NEVER;
  readonly #output: SegmentOutput;
  stream: HostStream | undefined;

  constructor(output: SegmentOutput) {
    this.#output = output;
  }

  /** Begins behind our SYN. */
  start(sequence: number, segment: Segment): void {
    this.una =
      this.next =
      this.max =
      this.#recover =
        sequence;
    this.#windowSequence = segment.sequence;
    this.#windowAck = segment.acknowledged;
    this.#setWindow(segment.window);
    this.deadlineMs = NEVER;
    this.rtoMs = INITIAL_RTO_MS;
    this.#retries = 0;
  }

  #setWindow(value: number): void {
    this.window = value << this.windowScale;
    if (this.window > this.#windowMax) this.#windowMax = this.window;
  }

  /** The guest has all that was read for it, and the stream knows. */
  get isQuiet(): boolean {
    return this.max === this.una && !this.isMarkAhead && this.stream !== undefined;
  }

  get inFlight(): number {
    return (this.max - this.una) | 0;
  }

  /**
   * Takes acknowledgement, window and SACK of a segment; false where it acknowledges what never was sent, or what is
   * longer past than anything under way can be: neither is the guest's (RFC 5961, 5).
   */
  acknowledge(segment: Segment, nowMs: number): boolean {
    const ack = segment.acknowledged;
    if (isBefore(this.max, ack) || isBefore(ack, (this.una - this.#windowMax) | 0)) return false;
    if (isBefore(ack, this.una)) return true;
    const previous = this.window;
    if (
      isBefore(this.#windowSequence, segment.sequence) ||
      (this.#windowSequence === segment.sequence && !isBefore(ack, this.#windowAck))
    ) {
      this.#windowSequence = segment.sequence;
      this.#windowAck = ack;
      this.#setWindow(segment.window);
      // an answer to a probe: the guest lives
      if (this.window === 0) this.#retries = 0;
    }
    const hasNews = segment.sackCount > 0 && this.#addRanges(segment);
    const acked = (ack - this.una) | 0;
    if (acked > 0) this.#advance(ack, acked, nowMs);
    else if (
      this.inFlight > 0 && segment.length === 0 && (segment.flags & FIN) === 0 && this.window === previous
    ) {
      this.#duplicates++;
    }
    if (this.inFlight === 0) {
      this.deadlineMs = NEVER;
      if (this.window > 0) this.#resetRto();
    } else if (!this.isRecovering && !isBefore(this.una, this.#recover) && this.#isLossLikely(hasNews)) {
      this.#enterRecovery();
    }
    return true;
  }

  #advance(ack: number, acked: number, nowMs: number): void {
    this.una = ack;
    if (isBefore(this.next, ack)) this.next = ack;
    if (isBefore(this.#filled, ack)) this.#filled = ack;
    const hasFin = this.#fin !== undefined && isBefore(this.#fin, ack);
    if (hasFin) this.isFinAcknowledged = true;
    this.stream?.acknowledge(acked - (hasFin ? 1 : 0));
    while (this.#ranges.length > 0 && !isBefore(ack, this.#ranges[1]!)) this.#ranges.splice(0, 2);
    if (this.#ranges.length > 0 && isBefore(this.#ranges[0]!, ack)) this.#ranges[0] = ack;
    if (this.#timed !== undefined && !isBefore(ack, this.#timed)) {
      this.#measure(nowMs - this.#timedAtMs);
      this.#timed = undefined;
    }
    this.#duplicates = 0;
    this.#retries = 0;
    this.#resetRto();
    if (this.stream?.wasRefused) this.isReadable = true;
    if (this.isRecovering) {
      if (!isBefore(ack, this.#recover)) {
        this.isRecovering = false;
        this.#cwnd = Math.max(this.#ssthresh, 2 * this.mss);
      } else if (this.#ranges.length === 0) this.#filled = ack; // a partial acknowledgement, without SACK
    } else if (this.#cwnd < this.#ssthresh) this.#cwnd = Math.min(CWND_MAX, this.#cwnd + acked);
    else if (this.#cwnd < CWND_MAX) {
      this.#cwnd += Math.max(1, Math.floor(this.mss * Math.min(1, acked / this.#cwnd)));
    }
    this.deadlineMs = this.inFlight > 0 ? nowMs + this.rtoMs : NEVER;
  }

  /** @see RFC 6298, 2 */
  #measure(rttMs: number): void {
    if (this.#srttMs === 0) {
      this.#srttMs = Math.max(0.001, rttMs);
      this.#rttvarMs = rttMs / 2;
    } else {
      this.#rttvarMs = 0.75 * this.#rttvarMs + 0.25 * Math.abs(this.#srttMs - rttMs);
      this.#srttMs = 0.875 * this.#srttMs + 0.125 * rttMs;
    }
  }

  /** Without backoff. */
  #resetRto(): void {
    this.rtoMs = this.#srttMs === 0
      ? INITIAL_RTO_MS
      : Math.min(RTO_MAX_MS, Math.max(RTO_MIN_MS, Math.ceil(this.#srttMs + 4 * this.#rttvarMs)));
  }

  /** Puts the blocks of a segment into the ranges; whether that said anything new. */
  #addRanges(segment: Segment): boolean {
    const before = this.#sackedBytes();
    for (let index = 0; index < segment.sackCount; index++) {
      let begin = segment.sack[index * 2]!, end = segment.sack[index * 2 + 1]!;
      // what was not sent, or is acknowledged anyhow (D-SACK), tells nothing
      if (isBefore(begin, this.una) || isBefore(this.max, end) || !isBefore(begin, end)) continue;
      const ranges = this.#ranges;
      let at = 0;
      while (at < ranges.length && isBefore(ranges[at + 1]!, begin)) at += 2;
      let until = at;
      while (until < ranges.length && !isBefore(end, ranges[until]!)) {
        if (isBefore(ranges[until]!, begin)) begin = ranges[until]!;
        if (isBefore(end, ranges[until + 1]!)) end = ranges[until + 1]!;
        until += 2;
      }
      ranges.splice(at, until - at, begin, end);
      if (ranges.length > 2 * RANGES_MAX) ranges.length = 2 * RANGES_MAX;
    }
    return this.#sackedBytes() > before;
  }

  #sackedBytes(): number {
    let sum = 0;
    for (let at = 0; at < this.#ranges.length; at += 2) {
      sum += (this.#ranges[at + 1]! - this.#ranges[at]!) | 0;
    }
    return sum;
  }

  /** @see RFC 6675, RFC 5827 (fewer duplicates where few segments are under way) */
  #isLossLikely(hasNews: boolean): boolean {
    const needed = Math.max(1, Math.min(DUPLICATES, Math.ceil(this.inFlight / this.mss) - 1));
    if (this.#duplicates >= needed && (this.#ranges.length > 0 || this.#duplicates >= DUPLICATES)) {
      return true;
    }
    return hasNews && this.#sackedBytes() >= DUPLICATES * this.mss;
  }

  #enterRecovery(): void {
    this.isRecovering = true;
    this.#recover = this.max;
    this.#filled = this.una;
    this.#ssthresh = Math.max(Math.floor(this.inFlight / 2), 2 * this.mss);
    this.#cwnd = this.#ssthresh;
    this.#timed = undefined;
    // after a timeout what is behind una may be on its way again already
    this.next = this.max;
    this.#fill(true);
  }

  /** The first number from `filled` on that the guest lacks, below one that it has; undefined where there is none. */
  #nextHole(): [begin: number, end: number] | undefined {
    if (this.#ranges.length === 0) {
      // without SACK: the first segment is known to be missing
      return this.#filled === this.una
        ? [this.una, Math.min(this.mss, this.inFlight) + this.una | 0]
        : undefined;
    }
    let begin = this.#filled;
    for (let at = 0; at < this.#ranges.length; at += 2) {
      if (isBefore(begin, this.#ranges[at]!)) return [begin, this.#ranges[at]!];
      if (isBefore(begin, this.#ranges[at + 1]!)) begin = this.#ranges[at + 1]!;
    }
    return undefined;
  }

  /** Sends the holes again, as many as the congestion window has room for; the first whatever it has. */
  #fill(isFirst: boolean): void {
    for (let hole = this.#nextHole(); hole !== undefined; hole = this.#nextHole()) {
      if (!isFirst && this.#pipe() >= this.#cwnd) return;
      isFirst = false;
      const [begin, end] = hole;
      const length = this.#again(begin, Math.min((end - begin) | 0, this.#payloadMax()));
      if (length <= 0) return;
      this.#filled = (begin + length) | 0;
    }
  }

  /** Bytes that are thought to be under way. @see RFC 6675, 4 */
  #pipe(): number {
    const missing = this.#nextHole();
    let lost = 0;
    if (missing !== undefined) {
      let begin = missing[0];
      for (let at = 0; at < this.#ranges.length; at += 2) {
        if (isBefore(begin, this.#ranges[at]!)) lost += (this.#ranges[at]! - begin) | 0;
        if (isBefore(begin, this.#ranges[at + 1]!)) begin = this.#ranges[at + 1]!;
      }
    }
    return this.inFlight - this.#sackedBytes() - lost;
  }

  #payloadMax(): number {
    const count = Math.min(SEGMENTS_MAX, Math.max(1, Math.floor(PAYLOAD_MAX / this.mss)));
    return Math.min(PAYLOAD_MAX, count * this.mss);
  }

  /** Sends from a number below `max` again; gives how many numbers that were, FIN included. */
  #again(sequence: number, length: number): number {
    const distance = (sequence - this.una) | 0;
    const dataEnd = this.#fin ?? this.max;
    const bytes = Math.min(length, (dataEnd - sequence) | 0);
    let count = 0;
    if (bytes > 0) {
      count = this.stream!.again(this.#output.out, this.#output.payloadOffset, distance, bytes);
      if (count <= 0) {
        if (count < 0 && count !== -EAGAIN && count !== -EINTR) this.error = -count;
        return 0;
      }
    }
    const isLast = this.#fin !== undefined && count === bytes && ((sequence + count) | 0) === this.#fin;
    this.#emit(sequence, isLast ? ACK | PSH | FIN : ACK | PSH, count);
    return count + (isLast ? 1 : 0);
  }

  /**
   * Sends what windows allow, up to about `budget` bytes.
   *
   * @returns whether there may be more to send now
   */
  pump(budget: number, nowMs: number): boolean {
    if (this.stream === undefined || this.error !== 0) return false;
    if (this.isRecovering) this.#fill(false);
    const hadFlight = this.inFlight > 0;
    let isMore = false;
    for (;;) {
      if (budget <= 0) {
        isMore = true;
        break;
      }
      const sent = this.#sendSome(nowMs, budget);
      if (sent <= 0) break;
      budget -= sent;
    }
    if (this.inFlight > 0) {
      if (!hadFlight || this.deadlineMs === NEVER) this.deadlineMs = nowMs + this.rtoMs;
    } else if (
      this.isReadable && !this.isHeld && !this.isEnded &&
      this.window < Math.min(this.mss, this.#windowMax >> 1)
    ) {
      // the window is shut: ask now and then whether it opened
      if (this.deadlineMs === NEVER) this.deadlineMs = nowMs + this.rtoMs;
    }
    return isMore;
  }

  /** Sends one segment, or some of them; gives their size, 0 where nothing may or can be sent. */
  #sendSome(nowMs: number, budget: number): number {
    if (this.isEnded && this.#fin !== undefined && this.next === this.max) return 0;
    const under = this.isRecovering ? this.#pipe() : (this.next - this.una) | 0;
    const allowed = (this.una + this.window - this.next) | 0;
    const room = Math.min(this.#cwnd - under, allowed);
    if (this.next !== this.max) {
      // after a timeout: all from the oldest on
      const left = (this.max - this.next) | 0;
      const isFinAlone = this.#fin === this.next;
      if (room <= 0 && !(isFinAlone && under === 0)) return 0;
      const count = this.#again(this.next, isFinAlone ? 1 : Math.min(left, room, this.#payloadMax()));
      this.next = (this.next + count) | 0;
      return count;
    }
    if (this.isEnded) return this.#sendFin();
    if (!this.isReadable || this.isHeld) return 0;
    // not in silly little pieces (RFC 9293, 3.8.6.2.1)
    if (room <= 0 || (room < this.mss && room < this.#windowMax >> 1 && under > 0)) return 0;
    const each = this.#payloadMax();
    const most = Math.floor(Math.min(room, budget) / each);
    if (most >= 2 && this.#isBulk && !this.isMarkAhead && this.stream!.readsMany) {
      return this.#sendMany(each, most, nowMs);
    }
    const { out, payloadOffset } = this.#output;
    const isMark = this.isMarkAhead && this.stream!.isAtMark();
    const wanted = isMark ? 1 : Math.min(room, each);
    const count = this.stream!.next(out, payloadOffset, wanted);
    if (count === -EINTR) return this.#sendSome(nowMs, budget);
    if (count <= 0) return this.#readNothing(count);
    this.#hasRead(count, wanted, nowMs);
    if (isMark) this.#urgent = (this.next + 1) | 0;
    if (isMark) this.isMarkAhead = false;
    this.#emit(this.next, ACK | PSH, count);
    this.next = this.max = (this.next + count) | 0;
    return count;
  }

  /** As many segments as one call fills. Only the last has PSH, by which the guest acknowledges at once what it has. */
  #sendMany(each: number, most: number, nowMs: number): number {
    const { lanes, payloadOffset } = this.#output;
    lanes.take(most);
    try {
      const wanted = lanes.slots.length * each;
      const count = this.stream!.nextOf(lanes, payloadOffset, each);
      if (count <= 0) return this.#readNothing(count);
      this.#hasRead(count, wanted, nowMs);
      for (let sent = 0, index = 0; sent < count; index++) {
        const part = Math.min(each, count - sent);
        sent += part;
        this.#emit(this.next, sent < count ? ACK : ACK | PSH, part, lanes.slots[index]);
        this.next = this.max = (this.next + part) | 0;
      }
      return count;
    } finally {
      lanes.give();
    }
  }

  #hasRead(count: number, wanted: number, nowMs: number): void {
    this.#isBulk = count === wanted;
    if (count < wanted && !this.readsOn && !this.stream!.wasRefused) this.isReadable = false;
    if (this.#timed === undefined) {
      this.#timed = (this.next + count) | 0;
      this.#timedAtMs = nowMs;
    }
  }

  /** What it means that a read gave no bytes; gives what was sent. */
  #readNothing(count: number): number {
    if (count === 0) {
      this.isEnded = true;
      return this.#sendFin();
    }
    this.#isBulk = false;
    if (count === -EAGAIN) this.isReadable = this.isMarkAhead = false;
    else this.error = -count;
    return 0;
  }

  /** With the urgent pointer, where a byte that is not acknowledged yet is urgent. @see RFC 9293, 3.8.5 */
  #emit(sequence: number, flags: number, length: number, slot?: Slot): void {
    if (this.#urgent !== undefined && !isBefore(this.una, this.#urgent)) this.#urgent = undefined;
    const urgent = this.#urgent === undefined ? 0 : (this.#urgent - sequence) | 0;
    if (urgent <= 0 || urgent > 0xffff) this.#output.emit(sequence, flags, length, 0, slot);
    else this.#output.emit(sequence, flags | URG, length, urgent, slot);
  }

  #sendFin(): number {
    this.#fin = this.max;
    this.#output.emit(this.next, ACK | FIN, 0, 0);
    this.next = this.max = (this.max + 1) | 0;
    return 1;
  }

  /** The timer of `deadlineMs` went off. False where the guest has not answered for too long. */
  timeOut(nowMs: number): boolean {
    if (++this.#retries > RETRIES_MAX) return false;
    this.rtoMs = Math.min(RTO_MAX_MS, this.rtoMs * 2);
    this.deadlineMs = nowMs + this.rtoMs;
    this.#timed = undefined;
    if (this.inFlight === 0 || this.window === 0) {
      // an old number is answered with the window as it is
      this.#output.emit((this.una - 1) | 0, ACK, 0, 0);
      if (this.inFlight === 0 && this.window >= Math.min(this.mss, this.#windowMax >> 1)) {
        this.deadlineMs = NEVER;
      }
      return true;
    }
    this.#ssthresh = Math.max(Math.floor(this.inFlight / 2), 2 * this.mss);
    this.#cwnd = this.mss;
    this.isRecovering = false;
    this.#recover = this.max;
    this.#duplicates = 0;
    // the guest may have thrown away what it had beyond (RFC 2018, 8)
    this.#ranges = [];
    this.next = this.una;
    return true;
  }
}

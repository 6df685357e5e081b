/**
 * What the host's socket has for the guest, kept until the guest has acknowledged it.
 *
 * Since Linux 6.9 (6.11 for IPv6) the kernel's own buffer keeps it: bytes are read with MSG_PEEK at an offset that moves
 * along (SO_PEEK_OFF), and taken out of the socket when they are acknowledged. Before that they are read once and kept here.
 *
 * @see SO_PEEK_OFF in socket(7), MSG_TRUNC in tcp(7)
 */

import {
  IPPROTO_TCP,
  MSG_PEEK,
  MSG_TRUNC,
  SO_OOBINLINE,
  SO_PEEK_OFF,
  TCP_NODELAY,
} from "../../../ffi/constants/inet.ts";
import { FIONREAD, SIOCATMARK } from "../../../ffi/constants/ioctl.ts";
import { MSG_DONTWAIT, SOL_SOCKET } from "../../../ffi/constants/socket.ts";
import { EAGAIN, EINTR } from "../../../ffi/errno.ts";
import { ioctl } from "../../../ffi/file.ts";
import { Memory, recvInto, setOption } from "../../../ffi/inet.ts";
import type { Lanes, Slot } from "./slots.ts";

/** Memory that all connections share. A connection that keeps nothing yet is always given some. */
export class Budget {
  used = 0;
  constructor(readonly limit: number) {}
  get isShort(): boolean {
    return this.used >= this.limit;
  }
}

/** Acknowledged bytes that stay in the kernel's buffer for a while, and acknowledgements: small ones cost a call each. */
const SETTLE_BYTES = 16 << 10;
const SETTLE_TIMES = 16;
const SETTLE_ALL_BYTES = 1024;

export interface HostStream {
  /** `next` gave less than there is for want of memory: it is to be tried again when something was acknowledged. */
  readonly wasRefused: boolean;
  /** Reads what was not read yet into the slot: a count, 0 at the end, or an errno negated. */
  next(slot: Slot, offset: number, length: number): number;
  /** Whether `nextOf` fills more than one slot. */
  readonly readsMany: boolean;
  /** The same into the slots of `lanes`, up to `each` bytes into each. Never interrupted. */
  nextOf(lanes: Lanes, offset: number, each: number): number;
  /** Whether the byte that `next` reads is the urgent one, before which it always stops. @see sockatmark(3) */
  isAtMark(): boolean;
  /** Reads `length` bytes again, `from` bytes after the oldest that is not acknowledged; a count, or a negated errno. */
  again(slot: Slot, offset: number, from: number, length: number): number;
  /** The guest has these for good. */
  acknowledge(count: number): void;
  /**
   * Gives the room of what was acknowledged back to the host's sender, once for many acknowledgements unless it
   * is told to do it now. False where something is left, which holds its sender up: to be settled soon.
   */
  settle(isNow: boolean): boolean;
  dispose(): void;
}

/** @param mayPeek false to keep the data here whatever the kernel can do */
export function openHostStream(fd: number, budget: Budget, mayPeek: boolean): HostStream {
  return mayPeek && setOption(fd, SOL_SOCKET, SO_PEEK_OFF, 0) === 0
    ? new PeekedStream(fd)
    : new KeptStream(fd, budget);
}

const look = new Memory(2);

/** The int that the socket answers. @see tcp(7) */
function ask(fd: number, request: number): number {
  const answer = new Int32Array(1);
  ioctl(fd, request, new Uint8Array(answer.buffer));
  return answer[0]!;
}

/** What a socket needs whose bytes go on as they come. */
export function prepareSocket(fd: number): void {
  // the guest's kernel has put small writes together already, where it was to
  setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  // an urgent byte of the host is read in its place, which is told by isAtMark
  setOption(fd, SOL_SOCKET, SO_OOBINLINE, 1);
}

/** Whether the next byte to be read is the urgent one. @see sockatmark(3) */
export function isAtMark(fd: number): boolean {
  return ask(fd, SIOCATMARK) !== 0;
}

class PeekedStream implements HostStream {
  readonly wasRefused = false;
  readonly readsMany = true;
  readonly #fd: number;
  /** Bytes in the socket's buffer that were read at least once; the kernel's offset. */
  #peeked = 0;
  /** The first of them are acknowledged. */
  #acknowledged = 0;
  /** How often, since they were taken out of the socket. */
  #times = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  next(slot: Slot, offset: number, length: number): number {
    const count = recvInto(this.#fd, slot.at(offset, length), length, MSG_PEEK | MSG_DONTWAIT);
    if (count > 0) this.#peeked += count;
    return count;
  }

  nextOf({ slots, pieces }: Lanes, offset: number, each: number): number {
    for (let index = 0; index < slots.length; index++) pieces.set(index, slots[index]!, offset, each);
    for (;;) {
      const count = pieces.receive(this.#fd, slots.length, MSG_PEEK | MSG_DONTWAIT);
      if (count > 0) this.#peeked += count;
      if (count !== -EINTR) return count;
    }
  }

  /** The kernel tells it of the oldest byte only; but a look from one byte before the mark ends there, though more has come. */
  isAtMark(): boolean {
    if (this.#peeked === 0) return isAtMark(this.#fd);
    if (ask(this.#fd, FIONREAD) <= this.#peeked) return false;
    setOption(this.#fd, SOL_SOCKET, SO_PEEK_OFF, this.#peeked - 1);
    const count = recvInto(this.#fd, look.pointer, 2, MSG_PEEK | MSG_DONTWAIT);
    setOption(this.#fd, SOL_SOCKET, SO_PEEK_OFF, this.#peeked);
    return count === 1;
  }

  again(slot: Slot, offset: number, from: number, length: number): number {
    const start = this.#acknowledged + from;
    setOption(this.#fd, SOL_SOCKET, SO_PEEK_OFF, start);
    const wanted = Math.min(length, this.#peeked - start);
    const count = recvInto(this.#fd, slot.at(offset, wanted), wanted, MSG_PEEK | MSG_DONTWAIT);
    setOption(this.#fd, SOL_SOCKET, SO_PEEK_OFF, this.#peeked);
    return count;
  }

  acknowledge(count: number): void {
    this.#acknowledged += count;
    this.#times++;
  }

  settle(isNow: boolean): boolean {
    const acknowledged = this.#acknowledged;
    if (acknowledged === 0) return true;
    // a buffer may be full of what is not taken out, however little that is
    const isAll = acknowledged === this.#peeked && acknowledged >= SETTLE_ALL_BYTES;
    if (!isNow && !isAll && acknowledged < SETTLE_BYTES && this.#times < SETTLE_TIMES) return false;
    this.#times = 0;
    while (this.#acknowledged > 0) {
      // MSG_TRUNC: nothing is copied anywhere
      const count = recvInto(this.#fd, null, this.#acknowledged, MSG_TRUNC | MSG_DONTWAIT);
      if (count === -EINTR) continue;
      if (count <= 0) return true; // the connection broke, which the next read tells
      this.#acknowledged -= count;
      this.#peeked -= count;
    }
    return true;
  }

  /** What would be left in the socket makes close(2) a reset. */
  dispose(): void {
    this.settle(true);
  }
}

/** What an array costs beside its bytes: a host that sends single bytes must not have them for the price of bytes. */
const CHUNK_OVERHEAD_BYTES = 256;

class KeptStream implements HostStream {
  wasRefused = false;
  readonly readsMany = false;
  readonly #fd: number;
  readonly #budget: Budget;
  #chunks: Uint8Array<ArrayBuffer>[] = [];
  /** Acknowledged bytes at the front of the first chunk. */
  #skip = 0;
  #kept = 0;

  constructor(fd: number, budget: Budget) {
    this.#fd = fd;
    this.#budget = budget;
  }

  next(slot: Slot, offset: number, length: number): number {
    // what is kept is acknowledged some time, and then it is tried again
    this.wasRefused = this.#budget.isShort;
    if (this.wasRefused && this.#kept > 0) return -EAGAIN;
    const wanted = this.#budget.isShort ? Math.min(length, 1024) : length;
    const count = recvInto(this.#fd, slot.at(offset, wanted), wanted, MSG_DONTWAIT);
    if (count > 0) {
      this.#chunks.push(slot.bytes.slice(offset, offset + count));
      this.#kept += count;
      this.#budget.used += count + CHUNK_OVERHEAD_BYTES;
    }
    return count;
  }

  nextOf({ slots }: Lanes, offset: number, each: number): number {
    return this.next(slots[0]!, offset, each);
  }

  isAtMark(): boolean {
    return isAtMark(this.#fd);
  }

  again(slot: Slot, offset: number, from: number, length: number): number {
    let start = from + this.#skip;
    let copied = 0;
    for (const chunk of this.#chunks) {
      if (start >= chunk.length) {
        start -= chunk.length;
        continue;
      }
      const part = chunk.subarray(start, start + length - copied);
      slot.bytes.set(part, offset + copied);
      copied += part.length;
      start = 0;
      if (copied === length) break;
    }
    return copied;
  }

  acknowledge(count: number): void {
    this.#skip += count;
    let done = 0;
    for (const chunk of this.#chunks) {
      if (this.#skip < chunk.length) break;
      this.#skip -= chunk.length;
      this.#kept -= chunk.length;
      this.#budget.used -= chunk.length + CHUNK_OVERHEAD_BYTES;
      done++;
    }
    if (done > 0) this.#chunks.splice(0, done);
  }

  settle(): boolean {
    return true;
  }

  dispose(): void {
    this.#budget.used -= this.#kept + this.#chunks.length * CHUNK_OVERHEAD_BYTES;
    this.#kept = 0;
    this.#chunks = [];
  }
}

/** Never used: while there are objects of a form, the code compiled for it is kept. */
export const FORMS: readonly HostStream[] = [new PeekedStream(-1)];

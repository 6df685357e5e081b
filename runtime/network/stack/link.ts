/**
 * The wire to the guest: a TUN descriptor with vnet headers, or in tests one end of a socket pair that keeps messages
 * apart. Reads what the guest sends and hands each packet to the handler of its protocol.
 *
 * @see Documentation/networking/tuntap.rst
 */

import { readInto, writeFrom } from "../../../ffi/inet.ts";
import { EAGAIN, EINTR, EINVAL } from "../../../ffi/errno.ts";
import type { InterfaceAddress, StackPlan } from "../plan.ts";
import { IpPacket, Networks } from "./packet.ts";
import { Lanes, type Slot, SLOT_BYTES, SlotPool } from "./slots.ts";

/** Serves one IP protocol. What it throws is caught by the stack, and the packet is lost. */
export interface PacketHandler {
  /** `packet` is valid until this returns; its slot longer, if `isKept` is set. Fragments never get here. */
  packet(packet: IpPacket): void;
}

/** Where tests lose, repeat, reorder and change frames: each is given as a copy and goes on as what is returned. */
export interface Seam {
  fromGuest(frame: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[];
  toGuest(frame: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[];
}

/** Slots that stay allocated, unused: half a megabyte. */
const SLOTS_KEPT = 8;

const ICMPV6 = 58;

/** Packets read before other work has its turn. */
const BURST_MAX = 64;
/** Reads of as many packets as before, until more are asked for again. */
const PATIENCE_MAX = 64;

export class Link {
  readonly pool = new SlotPool(SLOTS_KEPT);
  /** The one for what is built and written at once: every sender's. */
  readonly out: Slot = this.pool.take();
  /** The same for several at once; empty between calls. */
  readonly lanes = new Lanes(this.pool);
  /** By protocol number. */
  readonly handlers: (PacketHandler | undefined)[] = [];
  /** Gets the parts of packets, for reassembly; where there is none they are dropped. */
  fragments: PacketHandler | undefined;
  readonly #packet = new IpPacket();
  readonly #guests: Networks;
  /** Packets that the other end had no room for: never a TUN, which drops by itself. */
  lost = 0;

  constructor(readonly fd: number, plan: StackPlan, readonly seam?: Seam) {
    this.#guests = new Networks(plan.guests);
  }

  /** In place of those of the plan. */
  setGuests(guests: readonly InterfaceAddress[]): void {
    this.#guests.set(guests);
  }

  /** Gives back the memory of packets, of which none is under way between rounds of work. */
  discard(): void {
    this.out.discard();
    this.pool.discard();
  }

  /** Packets that are read at once: as many as there were the last time, since asking for one more costs a call. */
  #burst = 1;
  /** So often all of them were there, and so often they have to be until twice as many are asked for. */
  #full = 0;
  #patience = 1;
  #hasGrown = false;

  /** Reads what is there, up to a bounded count; false where the interface is gone for good. */
  read(): boolean {
    for (let count = 0; count < this.#burst; count++) {
      const slot = this.pool.take();
      const length = readInto(this.fd, slot.pointer, SLOT_BYTES);
      if (length <= 0) {
        this.pool.give(slot);
        // EINVAL: the kernel knows no vnet header for this one, which it has dropped
        if (length === -EINTR || length === -EINVAL) continue;
        this.#shrink(count);
        // EBADFD or EFAULT: the guest has deleted it, or its namespace is gone
        return length === -EAGAIN || this.#isStillThere();
      }
      if (this.seam === undefined) this.#receiveOwned(slot, length);
      else {
        const frame = slot.bytes.slice(0, length);
        this.pool.give(slot);
        for (const changed of this.seam.fromGuest(frame)) this.inject(changed);
      }
    }
    this.#grow();
    return true;
  }

  /** Reads what is there now, up to a bounded count; whether that was all. */
  drain(): boolean {
    for (let count = 0; count < BURST_MAX; count++) {
      const slot = this.pool.take();
      const length = readInto(this.fd, slot.pointer, SLOT_BYTES);
      if (length > 0) this.#receiveOwned(slot, length);
      else this.pool.give(slot);
      if (length === -EAGAIN) return true;
    }
    return false;
  }

  /**
   * Reads once more what has failed: errno may have been another's, since V8 calls the system between a call and the look at
   * it where it compiles something then, and the guest would have no network for ever.
   */
  #isStillThere(): boolean {
    const slot = this.pool.take();
    const length = readInto(this.fd, slot.pointer, SLOT_BYTES);
    if (length > 0) this.#receiveOwned(slot, length);
    else this.pool.give(slot);
    return length > 0 || length === -EAGAIN || length === -EINTR || length === -EINVAL;
  }

  #grow(): void {
    if (this.#hasGrown) this.#patience = 1;
    this.#hasGrown = ++this.#full >= this.#patience;
    if (!this.#hasGrown) return;
    this.#full = 0;
    this.#burst = Math.min(BURST_MAX, this.#burst * 2);
  }

  /** What asks and answers packet by packet seldom has two: that is tried less and less often. */
  #shrink(count: number): void {
    if (this.#hasGrown) {
      this.#patience = count * 2 > this.#burst ? 1 : Math.min(PATIENCE_MAX, this.#patience * 2);
    }
    this.#hasGrown = false;
    this.#full = 0;
    this.#burst = Math.max(1, count);
  }

  /** Handles a frame that was read by somebody else, or put together from fragments: vnet header and IP packet. */
  inject(frame: Uint8Array): void {
    if (frame.length > SLOT_BYTES) return;
    const slot = this.pool.take();
    slot.bytes.set(frame);
    this.#receiveOwned(slot, frame.length);
  }

  #receiveOwned(slot: Slot, length: number): void {
    try {
      this.receive(slot, length);
    } finally {
      if (!this.#packet.isKept || this.#packet.slot !== slot) this.pool.give(slot);
    }
  }

  /** Handles the `length` bytes in `slot` as one packet with its vnet header. Whatever they are is allowed. */
  receive(slot: Slot, length: number): void {
    const packet = this.#packet;
    if (!packet.parse(slot, length) || !this.#isFromGuest(packet)) return;
    const handler = packet.isFragment ? this.fragments : this.handlers[packet.protocol];
    handler?.packet(packet);
  }

  #isFromGuest({ version, protocol, s0, s1, s2, s3 }: IpPacket): boolean {
    if (this.#guests.has(s0, s1, s2, s3)) return true;
    // neighbour discovery speaks from link-local addresses, and from none
    return version === 6 && protocol === ICMPV6 &&
      ((s0 >>> 22) === 0xfe80 >> 6 || (s0 | s1 | s2 | s3) === 0);
  }

  /** Sends the first `length` bytes of the slot, which begin with a vnet header; false where it was lost. */
  write(slot: Slot, length: number): boolean {
    if (this.seam === undefined) return this.#write(slot, length);
    for (const changed of this.seam.toGuest(slot.bytes.slice(0, length))) {
      const other = this.pool.take();
      other.bytes.set(changed);
      this.#write(other, changed.length);
      this.pool.give(other);
    }
    return true;
  }

  #write(slot: Slot, length: number): boolean {
    const written = writeFrom(this.fd, slot.at(0, length), length);
    if (written >= 0) return true;
    if (written === -EINTR) return this.#write(slot, length);
    if (written === -EAGAIN) this.lost++;
    return false;
  }
}

/**
 * Memory for packets: slots that hold the largest packet with its vnet header. The pool gives back what was returned
 * last, so that a stack with little to do touches few pages, and its data is warm in the cache.
 */

import { Memory, Pieces } from "../../../ffi/inet.ts";

/** vnet header, IPv6 header, and 65,535 bytes behind that; the rest rounds up. */
export const SLOT_BYTES = 65_600;

/** Pointers into the first bytes, where payloads begin, are kept. */
const CACHED_POINTERS = 256;

export class Slot extends Memory {
  readonly #pointers: Deno.PointerValue[] = [];

  constructor() {
    super(SLOT_BYTES);
  }

  /** The address of `length` bytes at `offset`. Throws RangeError where they are not all inside. */
  at(offset: number, length: number): Deno.PointerValue {
    if (!(offset >= 0 && length >= 0 && offset + length <= SLOT_BYTES)) {
      throw new RangeError(`${length} bytes at ${offset} are outside of a packet's memory`);
    }
    if (offset >= CACHED_POINTERS) return Deno.UnsafePointer.offset(this.pointer!, offset);
    return this.#pointers[offset] ??= Deno.UnsafePointer.offset(this.pointer!, offset);
  }
}

/** Slots that one call fills at most: more are no faster, and less of them is still in the processor's cache. */
const LANES = 4;

/** Some of a pool's slots, for what comes faster than one holds: taken and given back within one call. */
export class Lanes {
  readonly slots: Slot[] = [];
  readonly pieces = new Pieces(LANES);
  readonly #pool: SlotPool;

  constructor(pool: SlotPool) {
    this.#pool = pool;
  }

  take(most: number): void {
    const count = Math.min(LANES, most);
    for (let index = 0; index < count; index++) this.slots[index] = this.#pool.take();
  }

  give(): void {
    while (this.slots.length > 0) this.#pool.give(this.slots.pop()!);
  }
}

export class SlotPool {
  readonly #free: Slot[] = [];
  #made = 0;

  /** @param kept slots that stay when nobody uses them */
  constructor(readonly kept: number) {}

  take(): Slot {
    return this.#free.pop() ?? (this.#made++, new Slot());
  }

  give(slot: Slot): void {
    if (this.#free.length < this.kept) this.#free.push(slot);
    else this.#made--;
  }

  /** Gives back the memory of slots that nobody uses; they stay, and have it again when they are written to. */
  discard(): void {
    for (const slot of this.#free) slot.discard();
  }

  /** Slots that exist, in use or not. */
  get count(): number {
    return this.#made;
  }
}

/**
 * Puts the guest's IP fragments together. What overlaps is dropped as a whole, as are more parts or packets at once than
 * an honest guest has.
 *
 * @see RFC 791, 3.2; RFC 8200, 4.5; RFC 5722 (overlaps); RFC 8900
 */

import type { Host, Timer } from "./host.ts";
import type { Link, PacketHandler } from "./link.ts";
import { type IpPacket, sum, VNET_BYTES } from "./packet.ts";
import type { Slot } from "./slots.ts";

/** Each holds a slot: a megabyte at most. */
const PACKETS_AT_ONCE = 16;
/** The largest packet in the smallest pieces that an MTU of 576 makes. */
const PARTS_A_PACKET = 128;
const TIMEOUT_MS = 15_000;

interface Incomplete {
  slot: Slot;
  headerBytes: 20 | 40;
  /** [from, to) of what is there, in bytes of the payload; sorted, without touching ones. */
  ranges: [number, number][];
  parts: number;
  /** -1 until the last part came. */
  length: number;
  /** The first part came, whose headers hold for all. */
  hasHeader: boolean;
  expiresMs: number;
}

export class Reassembly implements PacketHandler {
  readonly #link: Link;
  readonly #host: Host;
  /** In the order of their first parts. */
  readonly #incomplete = new Map<string, Incomplete>();
  #timer: Timer | undefined;

  constructor(link: Link, host: Host) {
    this.#link = link;
    this.#host = host;
  }

  packet(packet: IpPacket): void {
    const { version, s0, s1, s2, s3, d0, d1, d2, d3, fragmentId, protocol } = packet;
    // IPv6's next header is that of the first part only
    const key = `${
      version === 4 ? protocol : 6
    },${fragmentId},${s0},${s1},${s2},${s3},${d0},${d1},${d2},${d3}`;
    const incomplete = this.#incomplete.get(key) ?? this.#begin(key, version === 4 ? 20 : 40);
    if (!addPart(incomplete, packet)) return this.#drop(key, incomplete);
    const { ranges, length, hasHeader } = incomplete;
    if (length === -1 || !hasHeader || ranges.length !== 1 || ranges[0]![1] !== length) return;
    this.#incomplete.delete(key);
    this.#deliver(packet, incomplete);
  }

  /** Packets that wait for parts. */
  get size(): number {
    return this.#incomplete.size;
  }

  dispose(): void {
    this.#host.cancel(this.#timer);
    for (const [key, incomplete] of this.#incomplete) this.#drop(key, incomplete);
  }

  #begin(key: string, headerBytes: 20 | 40): Incomplete {
    const oldest = this.#incomplete.entries().next().value;
    if (oldest && this.#incomplete.size >= PACKETS_AT_ONCE) this.#drop(...oldest);
    const incomplete: Incomplete = {
      slot: this.#link.pool.take(),
      headerBytes,
      ranges: [],
      parts: 0,
      length: -1,
      hasHeader: false,
      expiresMs: this.#host.nowMs + TIMEOUT_MS,
    };
    this.#incomplete.set(key, incomplete);
    this.#timer ??= this.#host.after(TIMEOUT_MS, () => this.#expire());
    return incomplete;
  }

  #expire(): void {
    this.#timer = undefined;
    for (const [key, incomplete] of this.#incomplete) {
      if (incomplete.expiresMs > this.#host.nowMs) {
        this.#timer = this.#host.after(incomplete.expiresMs - this.#host.nowMs, () => this.#expire());
        return;
      }
      this.#drop(key, incomplete);
    }
  }

  #drop(key: string, { slot }: Incomplete): void {
    if (this.#incomplete.delete(key)) this.#link.pool.give(slot);
  }

  /** The link has one packet object: it now stands for the whole, and afterwards again for the part, which is not kept. */
  #deliver(packet: IpPacket, { slot, headerBytes, length }: Incomplete): void {
    const { view, bytes } = slot;
    const start = VNET_BYTES;
    if (headerBytes === 20) {
      view.setUint16(start + 2, headerBytes + length);
      view.setUint16(start + 6, 0);
      view.setUint16(start + 10, 0);
      view.setUint16(start + 10, ~sum(bytes, start, start + 20, 0) & 0xffff);
    } else {
      view.setUint16(start + 4, length);
    }
    packet.isKept = false;
    try {
      this.#link.receive(slot, start + headerBytes + length);
    } finally {
      if (!packet.isKept) this.#link.pool.give(slot);
      packet.isKept = false;
    }
  }
}

/** Copies a part to its place; false where the packet is not to be trusted. */
function addPart(incomplete: Incomplete, packet: IpPacket): boolean {
  const { slot, headerBytes, ranges } = incomplete;
  const { transport, end, fragmentOffset: from, moreFragments } = packet;
  const to = from + end - transport;
  if (++incomplete.parts > PARTS_A_PACKET) return false;
  if (to === from || (moreFragments && (to - from) % 8 !== 0)) return false;
  // the length in the header counts an IPv4 header as well
  const limit = headerBytes === 20 ? 65535 - 20 : 65535;
  if (to > limit || (incomplete.length !== -1 && to > incomplete.length)) return false;
  if (!moreFragments) {
    if (incomplete.length !== -1 && incomplete.length !== to) return false;
    if (ranges.length > 0 && ranges.at(-1)![1] > to) return false;
    incomplete.length = to;
  }
  const overlaps = addRange(ranges, from, to);
  if (overlaps) return false;
  const payload = VNET_BYTES + headerBytes;
  slot.bytes.set(packet.bytes.subarray(transport, end), payload + from);
  if (from === 0) {
    writeHeader(incomplete, packet);
    incomplete.hasHeader = true;
  }
  return true;
}

/** The vnet header (empty: the checksum is not vouched for) and an IP header without options, lengths to be filled in. */
function writeHeader({ slot, headerBytes }: Incomplete, { bytes, start, protocol }: IpPacket): void {
  slot.bytes.fill(0, 0, VNET_BYTES);
  slot.bytes.set(bytes.subarray(start, start + headerBytes), VNET_BYTES);
  if (headerBytes === 20) slot.view.setUint8(VNET_BYTES, 0x45);
  else slot.view.setUint8(VNET_BYTES + 6, protocol);
}

/** Adds [from, to), joined with its neighbours; true where some of it was there. */
function addRange(ranges: [number, number][], from: number, to: number): boolean {
  const after = ranges.findIndex(([begin]) => begin >= from);
  const at = after === -1 ? ranges.length : after;
  const before = ranges[at - 1], next = ranges[at];
  if ((before && before[1] > from) || (next && next[0] < to)) return true;
  const joinsBefore = before?.[1] === from, joinsNext = next?.[0] === to;
  if (joinsBefore && joinsNext) {
    before![1] = next![1];
    ranges.splice(at, 1);
  } else if (joinsBefore) before![1] = to;
  else if (joinsNext) next![0] = from;
  else ranges.splice(at, 0, [from, to]);
  return false;
}

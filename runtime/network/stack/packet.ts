/**
 * IP packets as views over the memory that they were read into. Nothing of a packet is looked at before its lengths
 * were compared with the bytes that were read, and every access goes through typed arrays, which check again.
 *
 * An address is four words of 32 bits, signed, so that V8 keeps them as small integers; IPv4 is `::ffff:a.b.c.d`.
 *
 * ```
 *  0            10 = start                   transport            end
 *  | vnet header | IP header, extensions ... | TCP, UDP, ICMP ... |
 * ```
 *
 * @see RFC 791, RFC 8200; struct virtio_net_hdr in linux/virtio_net.h
 */

import type { InterfaceAddress } from "../plan.ts";
import { type AddressBytes, mustParse } from "./addresses.ts";
import type { Slot } from "./slots.ts";

/** struct virtio_net_hdr, in the machine's byte order (little on both): u8 flags, u8 gso_type, u16 hdr_len,
 * u16 gso_size, u16 csum_start, u16 csum_offset. */
export const VNET_BYTES = 10;
export const VNET_NEEDS_CSUM = 1;
export const VNET_DATA_VALID = 2;
export const VNET_GSO_TCPV4 = 1;
export const VNET_GSO_UDP = 3;
export const VNET_GSO_TCPV6 = 4;
export const VNET_GSO_UDP_L4 = 5;
export const VNET_GSO_ECN = 0x80;

/** The second-highest word of an IPv4 address. */
export const IPV4_PREFIX = 0xffff;

const HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, DESTINATION_OPTIONS = 60;
const EXTENSIONS_MAX = 8;

/** One packet of the guest. There is one such object: it is valid until the handler returns. */
export class IpPacket {
  slot!: Slot;
  bytes!: Uint8Array<ArrayBuffer>;
  view!: DataView;
  version: 4 | 6 = 4;
  /** Where the IP header begins. */
  readonly start = VNET_BYTES;
  /** Where the header of the protocol begins. */
  transport = 0;
  /** Where the packet ends, by its own length; no more than what was read. */
  end = 0;
  protocol = 0;
  hopLimit = 0;
  /** DSCP and ECN. */
  trafficClass = 0;
  /** The checksum of the transport was left to the (virtual) hardware: the packet never was on a wire. */
  isChecksumPartial = false;
  gsoType = 0;
  gsoSize = 0;
  /** A part of a packet. `fragmentOffset` in bytes; the identification is 16 bits of IPv4, 32 of IPv6. */
  isFragment = false;
  fragmentOffset = 0;
  moreFragments = false;
  fragmentId = 0;
  s0 = 0;
  s1 = 0;
  s2 = 0;
  s3 = 0;
  d0 = 0;
  d1 = 0;
  d2 = 0;
  d3 = 0;
  /** Set by who keeps the slot beyond its handler: it gives it back to the pool. */
  isKept = false;

  /** Reads the headers of the `length` bytes in `slot`; false where they are none of an IP packet. */
  parse(slot: Slot, length: number): boolean {
    const { view } = slot;
    this.slot = slot;
    this.bytes = slot.bytes;
    this.view = view;
    this.isKept = false;
    this.isFragment = false;
    if (length < VNET_BYTES + 20 || length > slot.bytes.length) return false;
    this.isChecksumPartial = (view.getUint8(0) & (VNET_NEEDS_CSUM | VNET_DATA_VALID)) !== 0;
    this.gsoType = view.getUint8(1);
    this.gsoSize = view.getUint16(4, true);
    const version = view.getUint8(VNET_BYTES) >> 4;
    if (version === 4) return this.#parseIpv4(view, length);
    if (version === 6) return this.#parseIpv6(view, length);
    return false;
  }

  #parseIpv4(view: DataView, length: number): boolean {
    const start = VNET_BYTES;
    const headerBytes = (view.getUint8(start) & 15) * 4;
    const totalBytes = view.getUint16(start + 2);
    if (headerBytes < 20 || totalBytes < headerBytes || start + totalBytes > length) return false;
    this.version = 4;
    this.trafficClass = view.getUint8(start + 1);
    this.transport = start + headerBytes;
    this.end = start + totalBytes;
    this.hopLimit = view.getUint8(start + 8);
    this.protocol = view.getUint8(start + 9);
    const fragment = view.getUint16(start + 6);
    if ((fragment & 0x3fff) !== 0) {
      this.isFragment = true;
      this.fragmentOffset = (fragment & 0x1fff) * 8;
      this.moreFragments = (fragment & 0x2000) !== 0;
      this.fragmentId = view.getUint16(start + 4);
    }
    if (sum(this.bytes, start, start + headerBytes, 0) !== 0xffff) return false;
    this.s0 =
      this.s1 =
      this.d0 =
      this.d1 =
        0;
    this.s2 = this.d2 = IPV4_PREFIX;
    this.s3 = view.getInt32(start + 12);
    this.d3 = view.getInt32(start + 16);
    return true;
  }

  #parseIpv6(view: DataView, length: number): boolean {
    const start = VNET_BYTES;
    if (length < start + 40) return false;
    const end = start + 40 + view.getUint16(start + 4);
    if (end > length) return false;
    this.version = 6;
    this.trafficClass = (view.getUint16(start) >> 4) & 0xff;
    this.end = end;
    this.hopLimit = view.getUint8(start + 7);
    let next = view.getUint8(start + 6);
    let at = start + 40;
    for (let count = 0; isExtension(next); count++) {
      if (count === EXTENSIONS_MAX || at + 8 > end) return false;
      if (next === FRAGMENT) {
        const fragment = view.getUint16(at + 2);
        // a fragment that is the whole packet is none (RFC 6946)
        if ((fragment & 0xfff9) !== 0) {
          this.isFragment = true;
          this.fragmentOffset = fragment & 0xfff8;
          this.moreFragments = (fragment & 1) !== 0;
          this.fragmentId = view.getInt32(at + 4);
        }
        next = view.getUint8(at);
        at += 8;
        if (this.isFragment) break;
      } else {
        // a route through us, which nobody may ask for (RFC 5095)
        if (next === ROUTING && view.getUint8(at + 3) !== 0) return false;
        next = view.getUint8(at);
        at += 8 + view.getUint8(at + 1) * 8;
        if (at > end) return false;
      }
    }
    this.transport = at;
    this.protocol = next;
    this.s0 = view.getInt32(start + 8);
    this.s1 = view.getInt32(start + 12);
    this.s2 = view.getInt32(start + 16);
    this.s3 = view.getInt32(start + 20);
    this.d0 = view.getInt32(start + 24);
    this.d1 = view.getInt32(start + 28);
    this.d2 = view.getInt32(start + 32);
    this.d3 = view.getInt32(start + 36);
    // on this side of the wire an IPv4 address is no IPv6 address
    return !isIpv4(this.s0, this.s1, this.s2) && !isIpv4(this.d0, this.d1, this.d2);
  }

  /** Whether the checksum of TCP, UDP or ICMPv6 (of the whole rest, behind the pseudo header) is right. */
  isChecksumRight(): boolean {
    if (this.isChecksumPartial) return true;
    const from = this.version === 4 ? this.start + 12 : this.start + 8;
    const addresses = sum(this.bytes, from, from + (this.version === 4 ? 8 : 32), 0);
    const initial = fold(addresses + this.protocol + (this.end - this.transport));
    return sum(this.bytes, this.transport, this.end, initial) === 0xffff;
  }

  /** A copy of the source's address. */
  source(): AddressBytes {
    const from = this.start + (this.version === 4 ? 12 : 8);
    return this.bytes.slice(from, from + (this.version === 4 ? 4 : 16));
  }

  destination(): AddressBytes {
    const from = this.start + (this.version === 4 ? 16 : 24);
    return this.bytes.slice(from, from + (this.version === 4 ? 4 : 16));
  }
}

function isExtension(next: number): boolean {
  return next === HOP_BY_HOP || next === ROUTING || next === FRAGMENT || next === DESTINATION_OPTIONS;
}

function isIpv4(a: number, b: number, c: number): boolean {
  return a === 0 && b === 0 && c === IPV4_PREFIX;
}

/** An address as words, where one is kept. */
export type Words = readonly [number, number, number, number];

/** @see IpPacket */
export function toWords(address: ArrayLike<number>): Words {
  const bytes = Uint8Array.from(address);
  const view = new DataView(bytes.buffer);
  return address.length === 4
    ? [0, 0, IPV4_PREFIX, view.getInt32(0)]
    : [view.getInt32(0), view.getInt32(4), view.getInt32(8), view.getInt32(12)];
}

/** Four bytes or sixteen. */
export function toBytes(a: number, b: number, c: number, d: number): AddressBytes {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  [a, b, c, d].forEach((word, index) => view.setInt32(index * 4, word));
  return isIpv4(a, b, c) ? bytes.slice(12) : bytes;
}

/** A set of networks, asked for each packet. */
export class Networks {
  #list: { address: Words; mask: Words }[] = [];
  constructor(networks: readonly InterfaceAddress[]) {
    this.set(networks);
  }
  set(networks: readonly InterfaceAddress[]): void {
    this.#list = networks.map(({ address, prefix }) => {
      const bytes = mustParse(address);
      const bits = prefix + (bytes.length === 4 ? 96 : 0);
      const mask = [0, 32, 64, 96].map((from) => {
        const count = Math.max(0, Math.min(32, bits - from));
        return count === 0 ? 0 : (-1 << (32 - count)) | 0;
      }) as unknown as Words;
      return { address: toWords(bytes), mask };
    });
  }
  has(a: number, b: number, c: number, d: number): boolean {
    const list = this.#list;
    for (let index = 0; index < list.length; index++) {
      const { address, mask } = list[index]!;
      if (
        ((d ^ address[3]) & mask[3]) === 0 && ((c ^ address[2]) & mask[2]) === 0 &&
        ((b ^ address[1]) & mask[1]) === 0 && ((a ^ address[0]) & mask[0]) === 0
      ) return true;
    }
    return false;
  }
}

/** The sum of 16-bit words that RFC 1071 folds, not yet inverted; `from` counts as even. */
export function sum(bytes: Uint8Array, from: number, to: number, initial: number): number {
  let total = initial;
  const even = to - ((to - from) & 1);
  for (let at = from; at < even; at += 2) total += bytes[at]! << 8 | bytes[at + 1]!;
  if (even !== to) total += bytes[even]! << 8;
  return fold(total);
}

export function fold(total: number): number {
  // beyond 32 bits only after 2^16 words, which no packet has
  while (total > 0xffff) total = (total >>> 16) + (total & 0xffff);
  return total;
}

/** What an outgoing packet says of itself. */
export interface Route {
  version: 4 | 6;
  protocol: number;
  source: Words;
  destination: Words;
}

/**
 * Writes the vnet and IP headers of a packet of `length` bytes behind the IP header; gives where these begin. The
 * packet never is a fragment (DF is set).
 */
export function writeHeaders(slot: Slot, route: Route, length: number, hopLimit = 64): number {
  const { view } = slot;
  const { source, destination } = route;
  view.setUint32(0, 0);
  view.setUint32(4, 0);
  view.setUint16(8, 0);
  const start = VNET_BYTES;
  if (route.version === 4) {
    view.setUint32(start, 0x45000000 | (20 + length));
    view.setUint32(start + 4, 0x00004000);
    view.setUint32(start + 8, (hopLimit << 24 | route.protocol << 16) >>> 0);
    view.setInt32(start + 12, source[3]);
    view.setInt32(start + 16, destination[3]);
    view.setUint16(start + 10, ~sum(slot.bytes, start, start + 20, 0) & 0xffff);
    return start + 20;
  }
  view.setUint32(start, 0x60000000);
  view.setUint16(start + 4, length);
  view.setUint8(start + 6, route.protocol);
  view.setUint8(start + 7, hopLimit);
  for (let index = 0; index < 4; index++) {
    view.setInt32(start + 8 + index * 4, source[index]!);
    view.setInt32(start + 24 + index * 4, destination[index]!);
  }
  return start + 40;
}

/**
 * Leaves the checksum at `transport + offset` to the guest's kernel: it gets the sum of the pseudo header alone, and the
 * vnet header says where the rest is to be summed. To be called after `writeHeaders`.
 */
export function leaveChecksum(
  slot: Slot,
  route: Route,
  transport: number,
  length: number,
  offset: number,
): void {
  const { view } = slot;
  view.setUint8(0, VNET_NEEDS_CSUM);
  view.setUint16(6, transport - VNET_BYTES, true);
  view.setUint16(8, offset, true);
  const from = VNET_BYTES + (route.version === 4 ? 12 : 8);
  view.setUint16(
    transport + offset,
    sum(slot.bytes, from, from + (route.version === 4 ? 8 : 32), length + route.protocol),
  );
}

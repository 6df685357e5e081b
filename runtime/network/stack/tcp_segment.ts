/** TCP headers: what a segment of the guest says, and the segments that go to it. @see RFC 9293, RFC 7323, RFC 2018 */

import type { Link } from "./link.ts";
import {
  type IpPacket,
  leaveChecksum,
  type Route,
  VNET_BYTES,
  VNET_GSO_TCPV4,
  VNET_GSO_TCPV6,
  writeHeaders,
} from "./packet.ts";
import type { Slot } from "./slots.ts";

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;
export const URG = 0x20;

export const TCP_BYTES = 20;
/** Where the checksum is. */
const CHECKSUM_OFFSET = 16;
export const NO_OPTIONS: ArrayLike<number> = [];
/** Blocks that fit into an option without timestamps. */
export const SACK_BLOCKS = 4;

/** `one` comes before `other` in sequence space. */
export function isBefore(one: number, other: number): boolean {
  return ((one - other) | 0) < 0;
}

/** A segment of the guest: one object, filled anew for each. Numbers of sequence are signed 32-bit words. */
export class Segment {
  packet!: IpPacket;
  sourcePort = 0;
  destinationPort = 0;
  sequence = 0;
  acknowledged = 0;
  flags = 0;
  window = 0;
  urgent = 0;
  /** Where the data is in the packet's slot, and how much. */
  offset = 0;
  length = 0;
  /** Options; 0 and -1 where they are missing. */
  mss = 0;
  windowScale = -1;
  isSackPermitted = false;
  sackCount = 0;
  /** Pairs of begin and end. */
  readonly sack = new Int32Array(SACK_BLOCKS * 2);

  /** Reads the header; false where it is cut off or wrong. */
  parse(packet: IpPacket): boolean {
    const { view, transport, end } = packet;
    if (transport + TCP_BYTES > end) return false;
    const headerBytes = (view.getUint8(transport + 12) >> 4) * 4;
    if (headerBytes < TCP_BYTES || transport + headerBytes > end) return false;
    if (!packet.isChecksumRight()) return false;
    this.packet = packet;
    this.sourcePort = view.getUint16(transport);
    this.destinationPort = view.getUint16(transport + 2);
    this.sequence = view.getInt32(transport + 4);
    this.acknowledged = view.getInt32(transport + 8);
    this.flags = view.getUint8(transport + 13);
    this.window = view.getUint16(transport + 14);
    this.urgent = view.getUint16(transport + 18);
    this.offset = transport + headerBytes;
    this.length = end - this.offset;
    this.mss = 0;
    this.windowScale = -1;
    this.isSackPermitted = false;
    this.sackCount = 0;
    if (headerBytes > TCP_BYTES) this.#parseOptions(view, transport + TCP_BYTES, this.offset);
    return true;
  }

  /** Options that are cut off or have a wrong length end the list. */
  #parseOptions(view: DataView, from: number, to: number): void {
    for (let at = from; at < to;) {
      const kind = view.getUint8(at);
      if (kind === 0) return;
      if (kind === 1) {
        at++;
        continue;
      }
      if (at + 2 > to) return;
      const length = view.getUint8(at + 1);
      if (length < 2 || at + length > to) return;
      if (kind === 2 && length === 4) this.mss = view.getUint16(at + 2);
      else if (kind === 3 && length === 3) this.windowScale = Math.min(14, view.getUint8(at + 2));
      else if (kind === 4 && length === 2) this.isSackPermitted = true;
      else if (kind === 5 && length >= 10 && (length - 2) % 8 === 0) {
        this.sackCount = Math.min(SACK_BLOCKS, (length - 2) / 8);
        for (let index = 0; index < this.sackCount * 2; index++) {
          this.sack[index] = view.getInt32(at + 2 + index * 4);
        }
      }
      at += length;
    }
  }

  /** The numbers that it takes: its bytes, and one each for SYN and FIN. */
  get span(): number {
    return this.length + (this.flags & SYN ? 1 : 0) + (this.flags & FIN ? 1 : 0);
  }
}

/** The two ends, as the stack sends to the guest. */
export interface TcpRoute extends Route {
  sourcePort: number;
  destinationPort: number;
}

/** Where the payload of a segment without options begins in its slot. */
export function payloadOffset(version: 4 | 6): number {
  return VNET_BYTES + (version === 4 ? 20 : 40) + TCP_BYTES;
}

/**
 * Sends a segment whose payload, if any, is in the slot behind the headers already.
 *
 * @param window as it stands in the header, scaled
 * @param options a multiple of 4 bytes; none where there is a payload
 * @param mss what is longer is cut by the guest's kernel into segments of that size
 * @param urgent how many bytes from the first on end in the urgent one, where the flags say URG
 */
export function sendSegment(
  link: Link,
  slot: Slot,
  route: TcpRoute,
  sequence: number,
  acknowledged: number,
  flags: number,
  window: number,
  length = 0,
  mss = 0,
  options: ArrayLike<number> = NO_OPTIONS,
  urgent = 0,
): boolean {
  const { view } = slot;
  const headerBytes = TCP_BYTES + options.length;
  const at = writeHeaders(slot, route, headerBytes + length);
  view.setUint16(at, route.sourcePort);
  view.setUint16(at + 2, route.destinationPort);
  view.setInt32(at + 4, sequence);
  view.setInt32(at + 8, acknowledged);
  view.setUint16(at + 12, (headerBytes >> 2) << 12 | flags);
  view.setUint16(at + 14, window);
  view.setUint16(at + 18, urgent);
  for (let index = 0; index < options.length; index++) slot.bytes[at + TCP_BYTES + index] = options[index]!;
  leaveChecksum(slot, route, at, headerBytes + length, CHECKSUM_OFFSET);
  if (length > mss && length > 0) {
    view.setUint8(1, route.version === 4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6);
    view.setUint16(2, at - VNET_BYTES + TCP_BYTES, true);
    view.setUint16(4, mss, true);
  }
  return link.write(slot, at + headerBytes + length);
}

/** Answers a segment that belongs to no connection. @see RFC 9293, 3.10.7.1 */
export function sendReset(link: Link, segment: Segment): void {
  if (segment.flags & RST) return;
  const { packet } = segment;
  const route: TcpRoute = {
    version: packet.version,
    protocol: packet.protocol,
    source: [packet.d0, packet.d1, packet.d2, packet.d3],
    destination: [packet.s0, packet.s1, packet.s2, packet.s3],
    sourcePort: segment.destinationPort,
    destinationPort: segment.sourcePort,
  };
  if (segment.flags & ACK) sendSegment(link, link.out, route, segment.acknowledged, 0, RST, 0);
  else {
    const next = (segment.sequence + segment.span) | 0;
    sendSegment(link, link.out, route, 0, next, RST | ACK, 0);
  }
}

/** MSS, permission of SACK and window scale, as they stand in a SYN. A scale below 0 is left out. */
export function synOptions(mss: number, isSackPermitted: boolean, windowScale: number): number[] {
  const [high, low] = [mss >> 8, mss & 255];
  // what nearly all say, at once: an array that grows is made twice
  if (isSackPermitted && windowScale >= 0) return [2, 4, high, low, 1, 1, 4, 2, 1, 3, 3, windowScale];
  if (isSackPermitted) return [2, 4, high, low, 1, 1, 4, 2];
  return windowScale >= 0 ? [2, 4, high, low, 1, 3, 3, windowScale] : [2, 4, high, low];
}

/** The blocks [begin, end) that came out of order; the newest first. */
export function sackOption(blocks: readonly (readonly [begin: number, end: number])[]): number[] {
  const count = Math.min(SACK_BLOCKS, blocks.length);
  const option = [1, 1, 5, 2 + 8 * count];
  for (const block of blocks.slice(0, count)) {
    for (const number of block) {
      option.push(number >>> 24, (number >> 16) & 255, (number >> 8) & 255, number & 255);
    }
  }
  return option;
}

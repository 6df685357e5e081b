/** UDP datagrams to the guest. @see RFC 768, RFC 8200 (8.1) */

import type { Link } from "./link.ts";
import { fold, IPV4_PREFIX, leaveChecksum, sum, VNET_BYTES, type Words, writeHeaders } from "./packet.ts";
import { writeWhole } from "./fragment_writer.ts";

export const UDP = 17;
export const UDP_BYTES = 8;
const CHECKSUM_OFFSET = 6;

/** One end, as the guest sees it. */
export interface UdpEnd {
  readonly words: Words;
  readonly port: number;
}

/** Where the data of a datagram begins in a slot: what is received from a socket is put there at once. */
export function dataOffset(version: 4 | 6): number {
  return VNET_BYTES + (version === 4 ? 20 : 40) + UDP_BYTES;
}

/** Sends the datagram whose `length` bytes of data are in the link's `out` slot at `dataOffset`. */
export function sendDatagram(link: Link, from: UdpEnd, to: UdpEnd, length: number, mtu: number): boolean {
  const [a, b, c] = to.words;
  const version = a === 0 && b === 0 && c === IPV4_PREFIX ? 4 : 6;
  const route = { version, protocol: UDP, source: from.words, destination: to.words } as const;
  const at = writeHeaders(link.out, route, UDP_BYTES + length);
  const { view } = link.out;
  view.setUint16(at, from.port);
  view.setUint16(at + 2, to.port);
  view.setUint16(at + 4, UDP_BYTES + length);
  view.setUint16(at + CHECKSUM_OFFSET, 0);
  const end = at + UDP_BYTES + length;
  leaveChecksum(link.out, route, at, UDP_BYTES + length, CHECKSUM_OFFSET);
  if (end - VNET_BYTES <= mtu) return link.write(link.out, end);
  // only the whole datagram has a checksum; a result of 0 would say that there is none
  const pseudo = view.getUint16(at + CHECKSUM_OFFSET);
  view.setUint16(at + CHECKSUM_OFFSET, 0);
  const checksum = ~fold(sum(link.out.bytes, at, end, pseudo)) & 0xffff;
  view.setUint16(at + CHECKSUM_OFFSET, checksum === 0 ? 0xffff : checksum);
  return writeWhole(link, route, at, end, mtu);
}

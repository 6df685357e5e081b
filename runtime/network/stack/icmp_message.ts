/** ICMP and ICMPv6 messages to the guest. @see RFC 792, RFC 1191, RFC 1812, RFC 4443 */

import { writeWhole } from "./fragment_writer.ts";
import type { Link } from "./link.ts";
import { IPV4_PREFIX, sum, VNET_BYTES, type Words, writeHeaders } from "./packet.ts";

export const ICMP = 1, ICMPV6 = 58;

/** Type and code of one message in both versions, [ICMP, ICMPv6]. */
export type MessageKind = readonly [v4: readonly [number, number], v6: readonly [number, number]];

export const ERRORS = {
  networkUnreachable: [[3, 0], [1, 0]],
  hostUnreachable: [[3, 1], [1, 3]],
  portUnreachable: [[3, 3], [1, 4]],
  prohibited: [[3, 13], [1, 1]],
  packetTooBig: [[3, 4], [2, 0]],
  timeExceeded: [[11, 0], [3, 0]],
} as const satisfies Record<string, MessageKind>;

/** What an error quotes of the packet that it is about: never more than the smallest packets. */
const QUOTED_BYTES = { 4: 548, 6: 1232 };

/** All but echoes fit into it. */
const SMALLEST_MTU = 1280;

/**
 * Sends a message of `type` and `code`, `rest` being what follows the checksum: 4 bytes of header and the data.
 * Gives false where it was lost.
 */
export function sendIcmp(
  link: Link,
  message: { from: Words; to: Words; type: number; code: number; hopLimit?: number },
  rest: Uint8Array,
  mtu = SMALLEST_MTU,
): boolean {
  const { from, to, type, code, hopLimit } = message;
  const version = from[0] === 0 && from[1] === 0 && from[2] === IPV4_PREFIX ? 4 : 6;
  const route = { version, protocol: version === 4 ? ICMP : ICMPV6, source: from, destination: to } as const;
  const length = 4 + rest.length;
  const { out } = link;
  const at = writeHeaders(out, route, length, hopLimit);
  out.view.setUint8(at, type);
  out.view.setUint8(at + 1, code);
  out.view.setUint16(at + 2, 0);
  out.bytes.set(rest, at + 4);
  const pseudo = version === 4 ? 0 : sum(out.bytes, VNET_BYTES + 8, VNET_BYTES + 40, ICMPV6 + length);
  out.view.setUint16(at + 2, ~sum(out.bytes, at, at + length, pseudo) & 0xffff);
  return writeWhole(link, route, at, at + length, mtu);
}

/** Sends an error about the guest's packet `quoted` (its IP header and at least 8 bytes more) to where it came from. */
export function sendIcmpError(
  link: Link,
  from: Words,
  to: Words,
  [type, code]: readonly [number, number],
  quoted: Uint8Array,
  info = 0,
): boolean {
  const kept = quoted.subarray(0, QUOTED_BYTES[quoted[0]! >> 4 === 6 ? 6 : 4]);
  const rest = new Uint8Array(4 + kept.length);
  new DataView(rest.buffer).setUint32(0, info);
  rest.set(kept, 4);
  return sendIcmp(link, { from, to, type, code }, rest);
}

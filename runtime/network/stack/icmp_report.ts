/** Tells the guest by ICMP what cannot be delivered: what the stack refuses, and what the host's sockets report. */

import { SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6 } from "../../../ffi/constants/datagram.ts";
import type { DatagramError } from "../../../ffi/datagram.ts";
import {
  EACCES,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  ECONNREFUSED,
  EHOSTUNREACH,
  EINVAL,
  ENETUNREACH,
  ENODEV,
  EPERM,
  ETIMEDOUT,
} from "../../../ffi/errno.ts";
import { isGroup, isLoopback } from "./addresses.ts";
import type { StackContext } from "./context.ts";
import { isIpv4Words } from "./destinations.ts";
import { ERRORS, type MessageKind, sendIcmpError } from "./icmp_message.ts";
import { type IpPacket, sum, toBytes, toWords, type Words } from "./packet.ts";
import { UDP, type UdpEnd } from "./udp_packet.ts";

/** What an errno of a socket is to a guest; others (no memory, no descriptors) pass, and so say nothing. */
const KIND_OF_ERRNO = new Map<number, MessageKind>([
  [ENETUNREACH, ERRORS.networkUnreachable],
  [EADDRNOTAVAIL, ERRORS.networkUnreachable],
  [EAFNOSUPPORT, ERRORS.networkUnreachable],
  [EINVAL, ERRORS.networkUnreachable],
  [ENODEV, ERRORS.networkUnreachable],
  [EHOSTUNREACH, ERRORS.hostUnreachable],
  [ETIMEDOUT, ERRORS.hostUnreachable],
  [ECONNREFUSED, ERRORS.portUnreachable],
  [EACCES, ERRORS.prohibited],
  [EPERM, ERRORS.prohibited],
]);

/** Types that are passed on: unreachable and time exceeded. A path's MTU is the host's own affair: it fragments. */
const PASSED = { 4: [3, 11], 6: [1, 3] } as const;
const FRAGMENTATION_NEEDED = 4;

export class IcmpReporter {
  readonly #context: StackContext;

  constructor(context: StackContext) {
    this.#context = context;
  }

  /** About a packet of the guest; silent where no error may be sent. @see RFC 1122, 3.2.2; RFC 4443, 2.4(e) */
  about(packet: IpPacket, kind: MessageKind): void {
    this.#send(packet.bytes.subarray(packet.start, packet.end), kind);
  }

  failed(packet: IpPacket, errno: number): void {
    const kind = KIND_OF_ERRNO.get(errno);
    if (kind) this.about(packet, kind);
  }

  /** `packet` from its IP header on. */
  unreachable(packet: Uint8Array<ArrayBuffer>, errno: number): void {
    const kind = KIND_OF_ERRNO.get(errno);
    if (kind) this.#send(packet, kind);
  }

  #send(packet: Uint8Array<ArrayBuffer>, kind: MessageKind): void {
    const version = packet[0]! >> 4 === 6 ? 6 : 4;
    const [at, length] = version === 4 ? [12, 4] : [8, 16];
    if (packet.length < at + 2 * length) return;
    const source = packet.slice(at, at + length), destination = packet.slice(at + length, at + 2 * length);
    if (isGroup(destination) || isLoopback(destination) || isGroup(source) || isLoopback(source)) return;
    const from = this.#context.destinations.gateway(version) ?? toWords(destination);
    sendIcmpError(this.#context.link, from, toWords(source), kind[version === 4 ? 0 : 1], packet);
  }

  /** About a datagram that `guest` sent to `peer`, after an error of the host's socket. */
  aboutDatagram(guest: UdpEnd, peer: UdpEnd, error: DatagramError): void {
    const transport = new Uint8Array(8);
    const view = new DataView(transport.buffer);
    view.setUint16(0, guest.port);
    view.setUint16(2, peer.port);
    view.setUint16(4, 8);
    this.aboutSent(UDP, guest.words, peer.words, transport, error);
  }

  /** About a packet that was sent for a guest, of which only the first bytes of the transport are known. */
  aboutSent(protocol: number, guest: Words, peer: Words, transport: Uint8Array, error: DatagramError): void {
    const version = isIpv4Words(guest) ? 4 : 6;
    const isPassed = error.origin === (version === 4 ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ICMP6) &&
      (PASSED[version] as readonly number[]).includes(error.type);
    const kind = isPassed
      ? [error.type, error.code] as const
      : KIND_OF_ERRNO.get(error.errno)?.[version === 4 ? 0 : 1];
    if (kind === undefined || (version === 4 && kind[0] === 3 && kind[1] === FRAGMENTATION_NEEDED)) return;
    const quoted = quote(version, protocol, guest, peer, transport);
    const { link } = this.#context;
    sendIcmpError(link, this.#reporterOf(version, peer, error.offender), guest, kind, quoted);
  }

  /** The router that told, as far as the guest may see it. */
  #reporterOf(version: 4 | 6, peer: Words, offender: Uint8Array | undefined): Words {
    const words = offender && toWords(offender);
    if (!words || isIpv4Words(words) !== (version === 4)) return peer;
    return this.#context.destinations.isForeign(...words) ? words : peer;
  }
}

/** The packet as the guest sent it, as far as it matters. */
function quote(version: 4 | 6, protocol: number, from: Words, to: Words, transport: Uint8Array): Uint8Array {
  const headerBytes = version === 4 ? 20 : 40;
  const quoted = new Uint8Array(headerBytes + transport.length);
  const view = new DataView(quoted.buffer);
  if (version === 4) {
    view.setUint32(0, 0x45000000 | quoted.length);
    view.setUint16(8, 1 << 8 | protocol);
    quoted.set(toBytes(...from), 12);
    quoted.set(toBytes(...to), 16);
    view.setUint16(10, ~sum(quoted, 0, headerBytes, 0) & 0xffff);
  } else {
    view.setUint32(0, 0x60000000);
    view.setUint16(4, transport.length);
    view.setUint16(6, protocol << 8 | 1);
    quoted.set(toBytes(...from), 8);
    quoted.set(toBytes(...to), 24);
  }
  quoted.set(transport, headerBytes);
  return quoted;
}

/**
 * ICMP and ICMPv6 of the guest. Echo requests and solicitations are answered; all else is ignored, router advertisements,
 * redirects and errors that a guest sends among it: nothing of ours believes them.
 */

import type { AddressBytes } from "./addresses.ts";
import type { StackContext } from "./context.ts";
import { GATEWAY, isIpv4Words, NAMESERVER } from "./destinations.ts";
import { ECHO, type Echo } from "./icmp_echo.ts";
import { sendIcmp } from "./icmp_message.ts";
import type { PacketHandler } from "./link.ts";
import {
  areOptionsWhole,
  linkLocalOf,
  NEIGHBOUR_ADVERTISEMENT,
  NEIGHBOUR_SOLICITATION,
  neighbourAdvertisement,
  ON_LINK_HOP_LIMIT,
  ROUTER_ADVERTISEMENT,
  ROUTER_SOLICITATION,
  routerAdvertisement,
} from "./ndp.ts";
import { type IpPacket, sum, toBytes, toWords, type Words } from "./packet.ts";
import { sourceWords } from "./udp.ts";

/** Bytes before a solicitation's options. */
const ROUTER_SOLICITATION_BYTES = 8;
const NEIGHBOUR_SOLICITATION_BYTES = 24;

const ALL_NODES: Words = toWords([0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

/** For protocol 1. */
export class IcmpHandler implements PacketHandler {
  readonly #echo: Echo;
  constructor(echo: Echo) {
    this.#echo = echo;
  }

  packet(packet: IpPacket): void {
    const { version, transport, end, bytes } = packet;
    if (version !== 4 || transport + 8 > end || bytes[transport] !== ECHO[4].request) return;
    if (!packet.isChecksumPartial && sum(bytes, transport, end, 0) !== 0xffff) return;
    this.#echo.request(packet);
  }
}

/** For protocol 58. */
export class Icmpv6Handler implements PacketHandler {
  readonly #context: StackContext;
  readonly #echo: Echo;
  /** fe80::2 for fd00::2, from which advertisements come. */
  readonly #linkLocal: AddressBytes | undefined;

  constructor(context: StackContext, echo: Echo) {
    this.#context = context;
    this.#echo = echo;
    const gateway = context.destinations.gateway(6);
    this.#linkLocal = gateway && linkLocalOf(toBytes(...gateway));
  }

  packet(packet: IpPacket): void {
    const { version, transport, end, bytes } = packet;
    if (version !== 6 || transport + 8 > end || !packet.isChecksumRight()) return;
    const type = bytes[transport];
    if (type === ECHO[6].request) return this.#request(packet);
    if (packet.hopLimit !== ON_LINK_HOP_LIMIT || bytes[transport + 1] !== 0) return;
    if (type === ROUTER_SOLICITATION) this.#advertiseRouter(packet);
    if (type === NEIGHBOUR_SOLICITATION) this.#advertiseNeighbour(packet);
  }

  /** Link-local and unspecified sources pass the link for discovery alone. */
  #request(packet: IpPacket): void {
    const { s0, s1, s2, s3 } = packet;
    if ((s0 >>> 22) === 0xfe80 >> 6 || (s0 | s1 | s2 | s3) === 0) return;
    this.#echo.request(packet);
  }

  #advertiseRouter(packet: IpPacket): void {
    const { transport, end, bytes } = packet;
    if (!this.#linkLocal || !areOptionsWhole(bytes.subarray(transport + ROUTER_SOLICITATION_BYTES, end))) {
      return;
    }
    this.#send(
      ROUTER_ADVERTISEMENT,
      toWords(this.#linkLocal),
      packet,
      routerAdvertisement(this.#context.plan),
    );
  }

  #advertiseNeighbour(packet: IpPacket): void {
    const { transport, end, bytes } = packet;
    const options = transport + NEIGHBOUR_SOLICITATION_BYTES;
    if (options > end || !areOptionsWhole(bytes.subarray(options, end))) return;
    const target = bytes.slice(transport + 8, options);
    const words = toWords(target);
    if (isIpv4Words(words) || !this.#isOwn(words)) return;
    const isSolicited = sourceWords(packet).some((word) => word !== 0);
    this.#send(NEIGHBOUR_ADVERTISEMENT, words, packet, neighbourAdvertisement(target, isSolicited));
  }

  #isOwn(words: Words): boolean {
    const destination = this.#context.destinations.of(...words);
    if (destination === GATEWAY || destination === NAMESERVER) return true;
    return this.#linkLocal !== undefined &&
      toWords(this.#linkLocal).every((word, index) => word === words[index]);
  }

  /** To who asked; to all where it has no address yet. */
  #send(type: number, from: Words, packet: IpPacket, rest: Uint8Array): void {
    const source = sourceWords(packet);
    const to = source.every((word) => word === 0) ? ALL_NODES : source;
    sendIcmp(this.#context.link, { from, to, type, code: 0, hopLimit: ON_LINK_HOP_LIMIT }, rest);
  }
}

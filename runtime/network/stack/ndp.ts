/**
 * Neighbour discovery and router advertisements for the guest: pure messages. A TUN has no link-layer addresses, so the
 * kernel behind it asks for no neighbours; who asks all the same is answered.
 *
 * @see RFC 4861, RFC 8106 (nameservers)
 */

import type { InterfaceAddress, StackPlan } from "../plan.ts";
import { type AddressBytes, mustParse } from "./addresses.ts";

export const ROUTER_SOLICITATION = 133;
export const ROUTER_ADVERTISEMENT = 134;
export const NEIGHBOUR_SOLICITATION = 135;
export const NEIGHBOUR_ADVERTISEMENT = 136;

/** Neighbour discovery is believed only from the link itself: no router passes a packet without taking from it. */
export const ON_LINK_HOP_LIMIT = 255;

const ROUTER_LIFETIME_SECONDS = 1800;
const PREFIX_LIFETIME_SECONDS = 86_400;
const HOP_LIMIT = 64;
const ROUTER_FLAG = 0x80, SOLICITED = 0x40, OVERRIDE = 0x20;
const ON_LINK = 0x80;
const OPTION = { prefix: 3, mtu: 5, nameservers: 25 } as const;

/** The gateway's link-local address: advertisements come from one, fe80:: and the end of the gateway's own. */
export function linkLocalOf(gateway: AddressBytes): AddressBytes {
  const address = new Uint8Array(16);
  address.set([0xfe, 0x80]);
  address.set(gateway.subarray(8), 8);
  return address;
}

/**
 * What follows the checksum of a router advertisement: the prefixes (on-link, no addresses to be made from them, as they
 * are given out), the MTU and the nameservers.
 */
export function routerAdvertisement({ mtu, networks = [], nameservers }: StackPlan): Uint8Array {
  const servers = nameservers.filter((text) => text.includes(":")).map(mustParse);
  const prefixes = networks.filter(({ address }) => address.includes(":")).map(prefixOption);
  const parts = [advertisementHeader(), mtuOption(mtu), ...prefixes];
  if (servers.length > 0) parts.push(nameserverOption(servers));
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function advertisementHeader(): Uint8Array {
  const header = new Uint8Array(12);
  header[0] = HOP_LIMIT;
  new DataView(header.buffer).setUint16(2, ROUTER_LIFETIME_SECONDS);
  return header;
}

function mtuOption(mtu: number): Uint8Array {
  const option = new Uint8Array([OPTION.mtu, 1, 0, 0, 0, 0, 0, 0]);
  new DataView(option.buffer).setUint32(4, mtu);
  return option;
}

function prefixOption({ address, prefix }: InterfaceAddress): Uint8Array {
  const option = new Uint8Array(32);
  option.set([OPTION.prefix, 4, prefix, ON_LINK]);
  const view = new DataView(option.buffer);
  view.setUint32(4, PREFIX_LIFETIME_SECONDS);
  view.setUint32(8, PREFIX_LIFETIME_SECONDS);
  const bytes = mustParse(address);
  for (let bit = prefix; bit < 128; bit++) bytes[bit >> 3]! &= ~(0x80 >> (bit & 7));
  option.set(bytes, 16);
  return option;
}

function nameserverOption(servers: readonly AddressBytes[]): Uint8Array {
  const option = new Uint8Array(8 + 16 * servers.length);
  option.set([OPTION.nameservers, 1 + 2 * servers.length]);
  new DataView(option.buffer).setUint32(4, ROUTER_LIFETIME_SECONDS);
  servers.forEach((server, index) => option.set(server, 8 + 16 * index));
  return option;
}

/** What follows the checksum of a neighbour advertisement: flags and the address; there is no link-layer address. */
export function neighbourAdvertisement(target: AddressBytes, isSolicited: boolean): Uint8Array {
  const message = new Uint8Array(20);
  message[0] = ROUTER_FLAG | OVERRIDE | (isSolicited ? SOLICITED : 0);
  message.set(target, 4);
  return message;
}

/** Whether the options of a message (from its first one on) have lengths that fit. @see RFC 4861, 6.1.1 */
export function areOptionsWhole(bytes: Uint8Array): boolean {
  let at = 0;
  while (at + 2 <= bytes.length && bytes[at + 1] !== 0) at += 8 * bytes[at + 1]!;
  return at === bytes.length;
}

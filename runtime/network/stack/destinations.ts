/** Where a packet of the guest may go: who answers for its destination. */

import type { InterfaceAddress, StackPlan } from "../plan.ts";
import { mustParse } from "./addresses.ts";
import { IPV4_PREFIX, Networks, toWords, type Words } from "./packet.ts";

/** A host of the outside world, reached by a socket of the holder. */
export const OUTSIDE = 0;
/** An address that stands for the host itself. */
export const GATEWAY = 1;
/** The DNS forwarder. */
export const NAMESERVER = 2;
/** Nobody: loopback, groups, link-local IPv6, and the guests' own networks, which must never leak out. */
export const NOBODY = 3;

export type Destination = typeof OUTSIDE | typeof GATEWAY | typeof NAMESERVER | typeof NOBODY;

export class Destinations {
  readonly #gateways: readonly Words[];
  readonly #nameservers: readonly Words[];
  readonly #inside: Networks;

  constructor(plan: StackPlan) {
    this.#gateways = plan.gateways.map((text) => toWords(mustParse(text)));
    this.#nameservers = plan.nameservers.map((text) => toWords(mustParse(text)));
    this.#inside = new Networks([...plan.guests, ...plan.networks ?? []]);
  }

  /** In place of those of the plan. */
  setGuests(guests: readonly InterfaceAddress[]): void {
    this.#inside.set(guests);
  }

  of(a: number, b: number, c: number, d: number): Destination {
    if (isAmong(this.#nameservers, a, b, c, d)) return NAMESERVER;
    if (isAmong(this.#gateways, a, b, c, d)) return GATEWAY;
    return this.isForeign(a, b, c, d) ? OUTSIDE : NOBODY;
  }

  /**
   * Whether an address means the same host inside as outside: as a destination it may leave, as a client of a
   * published port it may appear inside.
   */
  isForeign(a: number, b: number, c: number, d: number): boolean {
    if (this.#inside.has(a, b, c, d)) return false;
    if (isAmong(this.#gateways, a, b, c, d) || isAmong(this.#nameservers, a, b, c, d)) return false;
    if (a === 0 && b === 0 && c === IPV4_PREFIX) {
      // the cloud's metadata service has a link-local address: those may be asked for
      const first = d >>> 24;
      return first !== 0 && first !== 127 && first < 224;
    }
    const group = a >>> 24;
    const isLinkLocal = a >>> 22 === 0xfe80 >> 6;
    const isLoopback = a === 0 && b === 0 && c === 0 && (d === 0 || d === 1);
    return group !== 0xff && !isLinkLocal && !isLoopback;
  }

  /** The address that stands for the host, of that IP version; there need not be one. */
  gateway(version: 4 | 6): Words | undefined {
    return this.#gateways.find((words) => isIpv4Words(words) === (version === 4));
  }
}

export function isIpv4Words([a, b, c]: Words): boolean {
  return a === 0 && b === 0 && c === IPV4_PREFIX;
}

function isAmong(list: readonly Words[], a: number, b: number, c: number, d: number): boolean {
  for (let index = 0; index < list.length; index++) {
    const words = list[index]!;
    if (words[3] === d && words[2] === c && words[1] === b && words[0] === a) return true;
  }
  return false;
}

/**
 * The plan of a user-mode network: what init makes inside and the stack serves from outside.
 *
 * The addresses are those of slirp4netns(1), where programs and people expect them: the host is .2, the nameserver .3,
 * the container .100.
 */

import type { StackPlan, TunPlan } from "./plan.ts";

/** What `--network slirp:…` changes. */
export interface UserModeOptions {
  /** Bytes. */
  mtu?: number;
  /** An IPv4 network of at most 25 bits: `10.0.2.0/24`. */
  cidr?: string;
  /** False: IPv4 only. */
  ipv6?: boolean;
  allowHostLoopback?: boolean;
  /** Source addresses, or names of the host's interfaces. */
  outbound?: { ipv4?: string; ipv6?: string };
}

export const DEFAULT_CIDR = "10.0.2.0/24";
export const DEFAULT_MTU = 65520;
/** Where pasta(1) takes DNS queries for the host's resolver. */
export const PASTA_NAMESERVER = "169.254.1.1";
/** The kernel's default of 500 overflows with a thousand connections. */
const QUEUE_LENGTH = 10_000;

export interface UserModeAddresses {
  ipv4: { guest: string; gateway: string; nameserver: string; prefix: number };
  ipv6?: { guest: string; gateway: string; nameserver: string; prefix: number };
}

export function userModeAddresses({ cidr = DEFAULT_CIDR, ipv6 = true }: UserModeOptions): UserModeAddresses {
  const [network, prefix] = cidr.split("/");
  const end = network!.lastIndexOf(".") + 1;
  // at most 25 bits: .100 never carries
  const host = (number: number) => network!.slice(0, end) + (Number(network!.slice(end)) + number);
  return {
    ipv4: { guest: host(100), gateway: host(2), nameserver: host(3), prefix: Number(prefix) },
    ...(ipv6 && { ipv6: { guest: "fd00::100", gateway: "fd00::2", nameserver: "fd00::3", prefix: 64 } }),
  };
}

/** The interface. The default's must be the same at every start: init makes it ahead of the plan. */
export function planTun(options: UserModeOptions = {}): TunPlan {
  const families = familiesOf(options);
  return {
    name: "eth0",
    mtu: options.mtu ?? DEFAULT_MTU,
    queueLength: QUEUE_LENGTH,
    addresses: families.map(({ guest, prefix }) => ({ address: guest, prefix })),
    gateways: families.map(({ gateway }) => gateway),
  };
}

/** `servers`: of `--dns`, which the forwarder asks instead of the host's. */
export function planStack(options: UserModeOptions = {}, servers?: string[]): StackPlan {
  const families = familiesOf(options);
  return {
    mtu: options.mtu ?? DEFAULT_MTU,
    guests: families.map(({ guest }) => ({ address: guest, prefix: guest.includes(":") ? 128 : 32 })),
    networks: families.map(({ guest, prefix }) => ({ address: guest, prefix })),
    gateways: families.map(({ gateway }) => gateway),
    nameservers: families.map(({ nameserver }) => nameserver),
    allowHostLoopback: options.allowHostLoopback ?? false,
    ...(options.outbound && { outbound: options.outbound }),
    dns: { resolvConf: "/etc/resolv.conf", ...(servers && { servers }) },
  };
}

function familiesOf(options: UserModeOptions) {
  const { ipv4, ipv6 } = userModeAddresses(options);
  return ipv6 ? [ipv4, ipv6] : [ipv4];
}

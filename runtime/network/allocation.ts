/** Which subnet a new network gets, and which address a container: pure, over what is taken. */

import {
  type Address,
  bytesOf,
  contains,
  formatAddress,
  hostRange,
  overlap,
  parseAddress,
  parseSubnet,
  type Subnet,
} from "./ip.ts";

/** Where subnets come from and how long their prefix is. @see containers.conf(5), default_subnet_pools */
export const DEFAULT_POOLS: readonly { base: string; prefix: number }[] = [
  { base: "10.89.0.0/16", prefix: 24 },
  { base: "10.90.0.0/15", prefix: 24 },
  { base: "10.92.0.0/14", prefix: 24 },
  { base: "10.96.0.0/11", prefix: 24 },
  { base: "10.128.0.0/9", prefix: 24 },
];

/** The first subnet of the pools that touches none of `used`; undefined where there is none left. */
export function freeSubnet(used: readonly Subnet[], pools = DEFAULT_POOLS): Subnet | undefined {
  for (const { base, prefix } of pools) {
    const pool = parseSubnet(base)!;
    const size = 1n << BigInt((pool.version === 4 ? 32 : 128) - prefix);
    for (let first = pool.first; first <= pool.last;) {
      const subnet = { version: pool.version, first, last: first + size - 1n, prefix };
      const hit = used.find((other) => overlap(other, subnet));
      if (hit === undefined) return subnet;
      // beyond what is in the way at once, however large it is
      first = hit.last >= subnet.last ? (hit.last / size + 1n) * size : subnet.last + 1n;
    }
  }
  return undefined;
}

/** A /64 below fd00::/8 at random. @see RFC 4193 */
export function randomUla(used: readonly Subnet[], random: (count: number) => Uint8Array): Subnet {
  for (;;) {
    const [...bytes] = random(7);
    const value = bytes.reduce((so, byte) => so << 8n | BigInt(byte), 0xfdn) << 64n;
    const subnet: Subnet = { version: 6, first: value, last: value + (1n << 64n) - 1n, prefix: 64 };
    if (!used.some((other) => overlap(other, subnet))) return subnet;
  }
}

/** What addresses of a subnet are for. */
export interface LeasePool {
  subnet: string;
  gateway?: string;
  /** `--ip-range`. */
  leaseRange?: { start: string; end: string };
  /** Addresses of others, by name: never handed out. */
  reserved?: Record<string, string>;
  /** The one handed out last: the next one is looked for behind it, so that none comes back soon. */
  cursor?: string;
}

/** First and last address that may be handed out. */
export function leaseRangeOf({ subnet, leaseRange }: LeasePool): { first: bigint; last: bigint } {
  const range = hostRange(parseSubnet(subnet)!);
  if (leaseRange === undefined) return range;
  const [start, end] = [parseAddress(leaseRange.start)!.value, parseAddress(leaseRange.end)!.value];
  return { first: start > range.first ? start : range.first, last: end < range.last ? end : range.last };
}

/** The next address behind the cursor that `isTaken` says nothing of; undefined where all are. */
export function freeAddress(pool: LeasePool, isTaken: (address: string) => boolean): string | undefined {
  const { version } = parseSubnet(pool.subnet)!;
  const { first, last } = leaseRangeOf(pool);
  const gateway = pool.gateway && formatAddress(parseAddress(pool.gateway)!);
  const kept = new Set([gateway, ...Object.values(pool.reserved ?? {})]);
  const cursor = pool.cursor === undefined ? undefined : parseAddress(pool.cursor)?.value;
  const begin = cursor !== undefined && cursor >= first && cursor < last ? cursor + 1n : first;
  const from = (start: bigint, end: bigint): string | undefined => {
    for (let value = start; value <= end; value++) {
      const address = formatAddress({ version, value });
      if (!kept.has(address) && !isTaken(address)) return address;
    }
    return undefined;
  };
  return from(begin, last) ?? from(first, begin - 1n);
}

/** Why an address that somebody asks for cannot be had of the subnet; undefined where it can. */
export function whyUnusable(pool: LeasePool, address: Address): string | undefined {
  const subnet = parseSubnet(pool.subnet)!;
  const { first, last } = hostRange(subnet);
  if (!contains(subnet, address)) return `it is not in subnet ${pool.subnet}`;
  if (address.value < first) return "it is the network's own address";
  if (address.value > last) return "it is the broadcast address";
  const isIt = (text: string) => parseAddress(text)!.value === address.value;
  if (pool.gateway !== undefined && isIt(pool.gateway)) return "it is the gateway";
  const other = Object.entries(pool.reserved ?? {}).find(([, kept]) => isIt(kept));
  return other && `it is reserved for ${other[0]}`;
}

/** Locally administered, and the same for the same address, so that neighbours' caches stay true. */
export function macOf(address: Address): string {
  return [0x02, 0x42, ...bytesOf(address).slice(-4)].map((byte) => byte.toString(16).padStart(2, "0")).join(
    ":",
  );
}

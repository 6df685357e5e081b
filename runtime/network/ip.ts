/** Addresses and subnets as numbers, for what hands them out. Loaded where networks are made or addresses leased. */

import { formatAddress as formatBytes, parseAddress as parseBytes } from "./stack/addresses.ts";

export interface Address {
  version: 4 | 6;
  value: bigint;
}

export interface Subnet {
  version: 4 | 6;
  /** The address of the network itself. */
  first: bigint;
  /** The last address: of IPv4 the broadcast. */
  last: bigint;
  prefix: number;
}

/** undefined where `text` is none: leading zeros, which some read as octal, zones and missing parts are refused. */
export function parseAddress(text: string): Address | undefined {
  const bytes = parseBytes(text);
  return bytes && { version: bytes.length === 4 ? 4 : 6, value: valueOf(bytes) };
}

/** The shortest spelling. @see RFC 5952 */
export function formatAddress(address: Address): string {
  return formatBytes(bytesOf(address));
}

/** `10.89.0.0/24`; bits of the host part are dropped. undefined where it is none. */
export function parseSubnet(text: string): Subnet | undefined {
  const [, head, tail] = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  const address = head === undefined ? undefined : parseAddress(head);
  if (address === undefined) return undefined;
  const width = widthOf(address.version);
  const prefix = Number(tail);
  return prefix > width ? undefined : subnetOf(address, prefix);
}

/** The subnet of that prefix length that the address is in. */
export function subnetOf({ version, value }: Address, prefix: number): Subnet {
  const hosts = BigInt(widthOf(version) - prefix);
  const first = value >> hosts << hosts;
  return { version, first, last: first + (1n << hosts) - 1n, prefix };
}

export function formatSubnet({ version, first, prefix }: Subnet): string {
  return `${formatAddress({ version, value: first })}/${prefix}`;
}

export function contains(subnet: Subnet, { version, value }: Address): boolean {
  return version === subnet.version && value >= subnet.first && value <= subnet.last;
}

export function overlap(a: Subnet, b: Subnet): boolean {
  return a.version === b.version && a.first <= b.last && b.first <= a.last;
}

/** First and last address that a host may have: neither the network's own nor, in IPv4, the broadcast. */
export function hostRange({ version, first, last, prefix }: Subnet): { first: bigint; last: bigint } {
  // a link of two has no room for either, RFC 3021 and RFC 6164
  if (widthOf(version) - prefix <= 1) return { first, last };
  return { first: first + 1n, last: version === 4 ? last - 1n : last };
}

/** Network byte order. */
export function bytesOf({ version, value }: Address): number[] {
  const length = widthOf(version) / 8;
  return Array.from({ length }, (_, index) => Number(value >> BigInt(8 * (length - 1 - index)) & 0xffn));
}

/** Six bytes with colons, not of a group; undefined where `text` is none. */
export function parseMac(text: string): string | undefined {
  const parts = text.toLowerCase().split(/[:-]/);
  if (parts.length !== 6 || !parts.every((part) => /^[0-9a-f]{2}$/.test(part))) return undefined;
  const isGroup = (parseInt(parts[0]!, 16) & 1) === 1;
  return isGroup || parts.every((part) => part === "00") ? undefined : parts.join(":");
}

function widthOf(version: 4 | 6): number {
  return version === 4 ? 32 : 128;
}

function valueOf(bytes: Iterable<number>): bigint {
  let value = 0n;
  for (const byte of bytes) value = value << 8n | BigInt(byte);
  return value;
}

/** Networks in text, as they stand in plans. */

import { type AddressBytes, mustParse } from "../stack/addresses.ts";

/** An address (or a network's first one) and how many of its bits are the network's. */
export interface Prefix {
  address: AddressBytes;
  prefix: number;
}

/** `10.89.0.0/24`. Throws TypeError: for what was checked when the plan was made. */
export function parsePrefix(text: string): Prefix {
  const [address, prefix] = text.split("/");
  return { address: mustParse(address!), prefix: Number(prefix) };
}

export function familyOf({ length }: AddressBytes): "ipv4" | "ipv6" {
  return length === 4 ? "ipv4" : "ipv6";
}

/** `02:42:0a:59:00:02`. */
export function parseMac(text: string): Uint8Array {
  return Uint8Array.from(text.split(":"), (part) => parseInt(part, 16));
}

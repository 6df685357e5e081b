/** The subnets that this machine has routes to, which a new network must not hide. @see proc(5), /proc/net/route */

import { parseSubnet, type Subnet, subnetOf } from "../network/ip.ts";

export interface HostSubnets {
  /** Those of the machine's own interfaces. */
  own: Subnet[];
  /** Those beyond a gateway, without the default routes. */
  far: Subnet[];
}

export function readHostSubnets(readFile: (path: string) => string = Deno.readTextFileSync): HostSubnets {
  const found: HostSubnets = { own: [], far: [] };
  for (
    const [path, parse] of [["/proc/net/route", parseRoutes4], [
      "/proc/net/ipv6_route",
      parseRoutes6,
    ]] as const
  ) {
    let text = "";
    try {
      text = readFile(path);
    } catch {
      // without IPv6, or without /proc
    }
    for (const { subnet, isFar } of parse(text)) (isFar ? found.far : found.own).push(subnet);
  }
  return found;
}

/** The interface of the machine's first default route. */
export function findDefaultInterface(
  readFile: (path: string) => string = Deno.readTextFileSync,
): string | undefined {
  try {
    return readFile("/proc/net/route").split("\n").map((line) => line.split(/\s+/))
      .find(([, destination, , , , , , mask]) => destination === "00000000" && mask === "00000000")?.[0];
  } catch {
    return undefined;
  }
}

interface Route {
  subnet: Subnet;
  isFar: boolean;
}

/** `Iface Destination Gateway Flags RefCnt Use Metric Mask …`, numbers in hex as they lie in memory. */
function parseRoutes4(text: string): Route[] {
  return text.split("\n").slice(1).flatMap((line) => {
    const [, destination = "", gateway = "", , , , , mask = ""] = line.split(/\s+/);
    if (![destination, gateway, mask].every((word) => /^[0-9A-F]{8}$/.test(word))) return [];
    const prefix = parseInt(mask, 16).toString(2).replaceAll("0", "").length;
    const value = BigInt(`0x${destination.match(/../g)!.reverse().join("")}`);
    return prefix === 0
      ? []
      : [{ subnet: subnetOf({ version: 4, value }, prefix), isFar: gateway !== "00000000" }];
  });
}

/** `destination prefix source prefix next-hop metric …`. Link-local and multicast are everybody's. */
function parseRoutes6(text: string): Route[] {
  return text.split("\n").flatMap((line) => {
    const [destination = "", prefix = "", , , hop = ""] = line.split(/\s+/);
    if (!/^[0-9a-f]{32}$/.test(destination) || /^(fe[89ab]|ff)/.test(destination)) return [];
    const length = parseInt(prefix, 16);
    if (!(length > 0 && length <= 128)) return [];
    const subnet = subnetOf({ version: 6, value: BigInt(`0x${destination}`) }, length);
    return [{ subnet, isFar: !/^0*$/.test(hop) }];
  });
}

/** Subnets as text, for networks that are there. */
export function parsedSubnets(texts: readonly { subnet: string }[]): Subnet[] {
  return texts.flatMap(({ subnet }) => parseSubnet(subnet) ?? []);
}

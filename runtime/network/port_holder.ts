/**
 * Who has a port of this machine, as far as the user may know.
 *
 * @see proc(5), /proc/net/tcp, /proc/PID/fd
 */

import type { PublishedPort } from "./plan.ts";
import { addressesOverlap } from "./ports.ts";
import { formatAddress, unmapped } from "./stack/addresses.ts";

/** A socket that is bound to a port. */
export interface PortSocket {
  address: string;
  inode: string;
  uid: number;
  isListening: boolean;
}

const LISTEN = "0A";
const TIME_WAIT = "06";

/** The sockets of a table such as /proc/net/tcp6 that have this local port. */
export function socketsAt(table: string, port: number): PortSocket[] {
  return table.split("\n").slice(1).flatMap((line) => {
    const [, local = "", , state = "", , , , uid = "", , inode = ""] = line.trim().split(/\s+/);
    const [address = "", number = ""] = local.split(":");
    if (parseInt(number, 16) !== port || state === TIME_WAIT || !/^\d+$/.test(inode)) return [];
    return [{ address: addressOf(address), inode, uid: Number(uid), isListening: state === LISTEN }];
  });
}

/** Hex of words in the machine's order, which is little endian on x86-64 and aarch64. */
function addressOf(hex: string): string {
  const bytes = Uint8Array.fromHex(hex);
  for (let at = 0; at < bytes.length; at += 4) bytes.subarray(at, at + 4).reverse();
  // a dual-stack socket that is bound to ::ffff:127.0.0.1 has the IPv4 port
  return formatAddress(unmapped(bytes));
}

/** `nginx (pid 12)`, or whose process it is, or undefined where nobody is seen. */
export function describeHolder(port: PublishedPort): string | undefined {
  const sockets = ["", "6"].flatMap((version) => {
    try {
      return socketsAt(Deno.readTextFileSync(`/proc/net/${port.protocol}${version}`), port.hostPort);
    } catch {
      return []; // without IPv6, or without a /proc
    }
  });
  // a dual-stack socket at :: has the IPv4 port as well
  const rivals = sockets.filter(({ address }) =>
    address === "::" || addressesOverlap(address, port.hostAddress)
  ).sort((a, b) => Number(b.isListening) - Number(a.isListening));
  const [first] = rivals;
  if (first === undefined) return undefined;
  return processWith(new Set(rivals.map(({ inode }) => `socket:[${inode}]`))) ??
    `a process of user ${first.uid}`;
}

function processWith(links: ReadonlySet<string>): string | undefined {
  for (const { name: pid } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      for (const { name: fd } of Deno.readDirSync(`/proc/${pid}/fd`)) {
        if (!links.has(Deno.readLinkSync(`/proc/${pid}/fd/${fd}`))) continue;
        return `${Deno.readTextFileSync(`/proc/${pid}/comm`).trim()} (pid ${pid})`;
      }
    } catch {
      // another user's, or it has ended
    }
  }
  return undefined;
}

/**
 * The guest's network namespace, as far as connections are handed over to it: TCP sockets there, and rules by which the
 * guest's packets of a connection reach such a socket instead of the TUN interface.
 *
 * A process cannot come back from another network namespace without privileges over its own, so a short child goes there
 * and sends back what it has opened.
 *
 * @see TUNGETDEVNETNS in linux/if_tun.h, ip-rule(8)
 */

import { IPPROTO_TCP } from "../../../ffi/constants/inet.ts";
import { IFF_UP } from "../../../ffi/constants/ioctl.ts";
import { TUNGETDEVNETNS } from "../../../ffi/constants/if_tun.ts";
import { CLONE_NEWNET } from "../../../ffi/constants/sched.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from "../../../ffi/constants/socket.ts";
import { close, closeAllExcept, ioctl } from "../../../ffi/file.ts";
import { forkChild } from "../../../ffi/fork.ts";
import { openSocket } from "../../../ffi/inet.ts";
import { WNOHANG } from "../../../ffi/constants/signal.ts";
import { ECHILD, isErrno } from "../../../ffi/errno.ts";
import { setns } from "../../../ffi/namespaces.ts";
import { NetlinkSocket, openNetlink } from "../../../ffi/netlink.ts";
import { waitpid } from "../../../ffi/process.ts";
import {
  addRoute,
  addRule,
  deleteRule,
  findRoute,
  LIST_LINKS,
  parseLink,
  parseRouteLink,
  type Rule,
} from "../../../ffi/rtnetlink.ts";
import { receiveWithFds, sendWithFds, socketpair } from "../../../ffi/socket.ts";
import type { AddressBytes } from "./addresses.ts";
import type { Host } from "./host.ts";

/** A connection, as the guest's packets bear it. */
export interface Flow {
  /** The link that they come in by: nobody else's packets are meant. Found at first. */
  incoming?: string;
  guest: AddressBytes;
  guestPort: number;
  peer: AddressBytes;
  peerPort: number;
}

/** Before all but the kernel's own rule, which finds the namespace's addresses only; behind this one, what is blocked. */
const DELIVERED = 50, BLOCKED = 51;
/** In which every address is one of the namespace's. */
const TABLE_HERE = 1003;
/** Opened at once: a child for each would cost more than all of them. */
const BATCH = 16;
const REAP_MS = 50;

type Version = 4 | 6;

export class GuestNamespace {
  readonly #tun: number;
  readonly #host: Host;
  readonly #spare: Record<Version, number[]> = { 4: [], 6: [] };
  readonly #hasTable = new Set<Version>();
  #netlink: NetlinkSocket | undefined;

  /** @param tun stays the caller's */
  constructor(tun: number, host: Host) {
    this.#tun = tun;
    this.#host = host;
  }

  /** A TCP socket of the namespace, not connected. @throws {Error} where it cannot be entered */
  takeSocket(version: Version): number {
    const spare = this.#spare[version];
    if (spare.length === 0) this.#fetch(version);
    return spare.pop()!;
  }

  /** The guest's packets of the flow are lost from now on, as if the line were down. */
  block(flow: Flow): void {
    this.#openTable(versionOf(flow));
    flow.incoming = this.#linkTo(flow.guest);
    this.#perform([addRule(ruleOf(flow, BLOCKED))]);
  }

  /** The guest's packets of the flow, which is blocked, reach a socket of its namespace from now on. */
  deliver(flow: Flow): void {
    this.#perform([addRule(ruleOf(flow, DELIVERED)), deleteRule(ruleOf(flow, BLOCKED))]);
  }

  /** Ends what `block` began. */
  unblock(flow: Flow): void {
    this.#perform([deleteRule(ruleOf(flow, BLOCKED))]);
  }

  /** Ends what `deliver` began. */
  release(flow: Flow): void {
    this.#perform([deleteRule(ruleOf(flow, DELIVERED))]);
  }

  dispose(): void {
    for (const fd of [...this.#spare[4], ...this.#spare[6]]) close(fd);
    this.#spare[4].length = this.#spare[6].length = 0;
    this.#netlink?.[Symbol.dispose]();
    this.#netlink = undefined;
  }

  /** `lo` for who is in the namespace itself; that of a bridge for who is behind it. */
  #linkTo(guest: AddressBytes): string {
    const link = parseRouteLink(this.#netlink!.ask(findRoute(guest)));
    if (link === undefined) throw new Error("no link leads to the guest");
    return this.#netlink!.nameOf(link);
  }

  #perform(requests: Parameters<NetlinkSocket["perform"]>[0]): void {
    this.#netlink!.perform(requests);
  }

  #openTable(version: Version): void {
    if (this.#hasTable.has(version)) return;
    if (this.#netlink === undefined) this.#fetch(version);
    const loopback = this.#netlink!.dump(LIST_LINKS).map(parseLink).find(({ name }) => name === "lo");
    if (loopback === undefined || !(loopback.flags & IFF_UP)) throw new Error("the guest's loopback is down");
    const family = version === 4 ? "ipv4" : "ipv6";
    this.#perform([addRoute({ family, link: loopback.index, local: true, table: TABLE_HERE })]);
    this.#hasTable.add(version);
  }

  #fetch(version: Version): void {
    const wanted = this.#netlink === undefined ? [openNetlink] : [];
    const netns = ioctl(this.#tun, TUNGETDEVNETNS, 0);
    const [ours, its] = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC);
    const say = (text: string, fds: readonly number[]) =>
      sendWithFds(its, new TextEncoder().encode(text), fds);
    try {
      const child = forkChild(() => {
        closeAllExcept([its, netns]);
        setns(netns, CLONE_NEWNET);
        say("ok", [...openSockets(version), ...wanted.map((open) => open())]);
        return 0;
      }, (error) => say((error as Error).message.slice(0, 1000), []));
      const buffer = new Uint8Array(1000);
      const { length, fds } = receiveWithFds(ours, buffer, BATCH + 1);
      this.#reapLater(child);
      if (fds.length === 0) throw new Error(new TextDecoder().decode(buffer.subarray(0, length)));
      if (wanted.length > 0) this.#netlink = new NetlinkSocket(fds.pop()!);
      this.#spare[version].push(...fds);
    } finally {
      for (const fd of [netns, ours, its]) close(fd);
    }
  }

  /** Its end takes longer than its answer, for which connections wait. */
  #reapLater(child: number): void {
    this.#host.after(REAP_MS, () => isGone(child) || this.#reapLater(child));
  }
}

/** Reaped here, or by who reaps whatever ends. */
function isGone(child: number): boolean {
  try {
    return waitpid(child, WNOHANG) !== undefined;
  } catch (error) {
    if (isErrno(error, ECHILD)) return true;
    throw error;
  }
}

function openSockets(version: Version): number[] {
  const family = version === 4 ? AF_INET : AF_INET6;
  const opened: number[] = [];
  while (opened.length < BATCH) {
    const fd = openSocket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) break;
    opened.push(fd);
  }
  if (opened.length === 0) throw new Error("no sockets");
  return opened;
}

function versionOf({ guest }: Flow): Version {
  return guest.length === 4 ? 4 : 6;
}

function ruleOf(flow: Flow, priority: typeof DELIVERED | typeof BLOCKED): Rule {
  const { guest, guestPort, peer, peerPort, incoming } = flow;
  const prefix = 8 * guest.length;
  return {
    family: versionOf(flow) === 4 ? "ipv4" : "ipv6",
    incoming,
    from: { address: guest, prefix },
    to: { address: peer, prefix },
    flow: { protocol: IPPROTO_TCP, sourcePort: guestPort, destinationPort: peerPort },
    ...(priority === DELIVERED ? { table: TABLE_HERE } : { blackhole: true }),
    priority,
  };
}

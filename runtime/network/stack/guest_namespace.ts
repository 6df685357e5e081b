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
import { POLLIN } from "../../../ffi/constants/poll.ts";
import { SIGKILL, WNOHANG } from "../../../ffi/constants/signal.ts";
import { ECHILD, EEXIST, ENOENT, isErrno } from "../../../ffi/errno.ts";
import { setns } from "../../../ffi/namespaces.ts";
import { type NetlinkRequest, NetlinkSocket, openNetlink } from "../../../ffi/netlink.ts";
import { pollBlocking } from "../../../ffi/poll.ts";
import { kill, waitpid } from "../../../ffi/process.ts";
import {
  addRoute,
  addRule,
  deleteRule,
  findRoute,
  LIST_LINKS,
  LIST_RULES,
  parseLink,
  parseRouteLink,
  parseRule,
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
/** The child needs some milliseconds. One that cannot go on must not keep all connections waiting for ever. */
const ANSWER_MS = 2000;
const ANSWER_BYTES = 1000;
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
    this.#netlink!.perform([addRule(ruleOf(flow, BLOCKED))]);
  }

  /** The guest's packets of the flow, which is blocked, reach a socket of its namespace from now on. */
  deliver(flow: Flow): void {
    attempt(this.#netlink!, [addRule(ruleOf(flow, DELIVERED)), deleteRule(ruleOf(flow, BLOCKED))], ENOENT);
  }

  /** Ends what `block` and `deliver` began, whichever of them was last. */
  release(flow: Flow): void {
    // who may change the namespace may have done it before
    attempt(
      this.#netlink!,
      [DELIVERED, BLOCKED].map((priority) => deleteRule(ruleOf(flow, priority))),
      ENOENT,
    );
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

  #openTable(version: Version): void {
    if (this.#hasTable.has(version)) return;
    if (this.#netlink === undefined) this.#fetch(version);
    const loopback = this.#netlink!.dump(LIST_LINKS).map(parseLink).find(({ name }) => name === "lo");
    if (loopback === undefined || !(loopback.flags & IFF_UP)) throw new Error("the guest's loopback is down");
    const family = version === 4 ? "ipv4" : "ipv6";
    // a stack that was here before has left it
    attempt(
      this.#netlink!,
      [addRoute({ family, link: loopback.index, local: true, table: TABLE_HERE })],
      EEXIST,
    );
    this.#hasTable.add(version);
  }

  #fetch(version: Version): void {
    const wanted = this.#netlink === undefined ? [openNetlink] : [];
    const netns = ioctl(this.#tun, TUNGETDEVNETNS, 0);
    const [ours, its] = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC);
    const say = (text: string, fds: readonly number[]) =>
      sendWithFds(its, new TextEncoder().encode(text), fds);
    try {
      let child: number;
      try {
        child = forkChild(() => {
          closeAllExcept([its, netns]);
          setns(netns, CLONE_NEWNET);
          say("ok", [...openSockets(version), ...wanted.map((open) => open())]);
          return 0;
        }, (error) => say((error as Error).message.slice(0, ANSWER_BYTES), []));
      } finally {
        // the child's alone: its death is heard, too
        for (const fd of [netns, its]) close(fd);
      }
      const fds = this.#awaitAnswer(ours, child);
      if (wanted.length > 0) this.#netlink = new NetlinkSocket(fds.pop()!);
      this.#spare[version].push(...fds);
    } finally {
      close(ours);
    }
  }

  /** What the child has opened. @throws {Error} what it says instead */
  #awaitAnswer(from: number, child: number): number[] {
    this.#reapLater(child);
    if (pollBlocking(from, POLLIN, ANSWER_MS) === 0) {
      kill(child, SIGKILL);
      throw new Error("the guest's namespace is entered, and nothing comes from there");
    }
    const buffer = new Uint8Array(ANSWER_BYTES);
    const { length, fds } = receiveWithFds(from, buffer, BATCH + 1);
    if (fds.length > 0) return fds;
    throw new Error(new TextDecoder().decode(buffer.subarray(0, length)) || "the process ended early");
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

/**
 * Takes away what a stack has left that was killed, where the namespace has outlived it: who comes from the same port again
 * would reach nobody.
 *
 * @param netlink of the namespace
 */
export function removeFormerFlows(netlink: NetlinkSocket): void {
  for (const { family, priority } of netlink.dump(LIST_RULES).map(parseRule)) {
    // the first of this priority, whichever that is
    if (priority === DELIVERED) {
      attempt(netlink, [deleteRule({ family, priority, table: TABLE_HERE })], ENOENT);
    }
    if (priority === BLOCKED) attempt(netlink, [deleteRule({ family, priority, blackhole: true })], ENOENT);
  }
}

/** @param harmless an errno that says that it is so already */
function attempt(netlink: NetlinkSocket, requests: NetlinkRequest[], harmless: number): void {
  try {
    netlink.perform(requests);
  } catch (error) {
    if (!isErrno(error, harmless)) throw error;
  }
}

function versionOf({ guest }: Flow): Version {
  return guest.length === 4 ? 4 : 6;
}

function ruleOf(flow: Flow, priority: number): Rule {
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

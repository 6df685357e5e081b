/**
 * The user-mode network stack: what a guest sends into its TUN interface becomes traffic of sockets of the host, and what
 * comes to published ports becomes traffic of the guest. Whoever holds it watches `fd` and calls `work`, or lets it lead.
 *
 * It runs as far from the guest as its holder does: guest's packets are hostile input (lengths are checked in packet.ts and
 * by each protocol), and no fault leaves `work`.
 */

import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_UDP } from "../../../ffi/constants/inet.ts";
import { RLIMIT_NOFILE } from "../../../ffi/constants/resource.ts";
import { setNonblocking } from "../../../ffi/file.ts";
import { closeSocket } from "../../../ffi/inet.ts";
import { NetlinkSocket } from "../../../ffi/netlink.ts";
import { getrlimit, setrlimit } from "../../../ffi/process.ts";
import type { Lead } from "../monitor_network.ts";
import type { InterfaceAddress, PublishedPort, StackPlan } from "../plan.ts";
import type { StackContext } from "./context.ts";
import type { Datagrams } from "./datagrams.ts";
import { Destinations } from "./destinations.ts";
import { removeFormerFlows } from "./guest_namespace.ts";
import type { DnsForwarder, NameSource } from "./dns_forwarder.ts";
import type { DnsStreams } from "./dns_stream.ts";
import { Host } from "./host.ts";
import {
  HANDED_OVER_DESCRIPTORS,
  MAX_ENDPOINTS,
  MAX_HANDED_OVER,
  MAX_PINGS,
  MAX_QUESTIONS,
  MAX_STREAMS,
} from "./limits.ts";
import { Link, type Seam } from "./link.ts";
import { Lull } from "./lull.ts";
import { Tcp } from "./tcp.ts";

export interface StackOptions {
  /** A TUN interface with vnet headers; the stack owns it. */
  tun: number;
  plan: StackPlan;
  /** Loads all that is not TCP, when it is first needed: half of the code, for which a first connection need not wait. */
  loadDatagrams(): typeof import("./datagrams.ts");
  /** A packet with its vnet header that its holder has read already. */
  first?: Uint8Array<ArrayBuffer>;
  /** Told of faults that were caught. */
  onFault(error: unknown): void;
  /** Told when much was done and then little is for a while: the time to give memory back. */
  onLull?(): void;
  /** Names that the DNS forwarder answers by itself. */
  names?: NameSource;
  /** Of a namespace that had another stack before, which was killed perhaps; stays the caller's. */
  formerNetlink?: number;
  /** For tests: where nameservers listen, fewer connections, and data kept here as kernels before 6.9 need it. */
  dnsPort?: number;
  connectionsMax?: number;
  mayPeek?: boolean;
  seam?: Seam;
}

const CONNECTIONS_MAX = 16_384;
/** For the holder itself, and for pings, DNS questions and DNS connections (with their other ends) at their limits. */
const DESCRIPTORS_RESERVED = 256 + MAX_PINGS + MAX_QUESTIONS + 2 * MAX_STREAMS;

export class Stack {
  /** An epoll descriptor, readable when there is work. */
  readonly fd: number;
  readonly #tun: number;
  readonly #context: StackContext;
  readonly #tcp: Tcp;
  #datagrams: Datagrams | undefined;
  readonly #makeDatagrams: () => Datagrams;

  constructor(options: StackOptions) {
    const { tun, plan, loadDatagrams, first, onFault, onLull, connectionsMax, mayPeek, seam } = options;
    const host = new Host(onFault);
    this.fd = host.fd;
    this.#tun = tun;
    const link = new Link(tun, plan, seam);
    this.#context = { plan, link, host, destinations: new Destinations(plan), ended: 0, afterBatch: [] };
    const { connections, handedOver, endpoints } = shareDescriptors(descriptorsLimit());
    this.#tcp = new Tcp(this.#context, {
      connections: Math.min(connectionsMax ?? CONNECTIONS_MAX, connections),
      mayPeek: mayPeek ?? true,
      // frames that a test changes must come by
      handedOver: seam === undefined && !plan.keepsConnections ? handedOver : 0,
    });
    const { names, dnsPort, formerNetlink } = options;
    if (formerNetlink !== undefined) {
      host.attempt(() => removeFormerFlows(new NetlinkSocket(formerNetlink)));
    }
    this.#makeDatagrams = () => new (loadDatagrams().Datagrams)(this.#context, { names, dnsPort, endpoints });
    this.#awaitDatagrams();
    const { afterBatch } = this.#context;
    host.afterRound = () => {
      for (let index = 0; index < afterBatch.length; index++) afterBatch[index]!();
    };
    if (onLull !== undefined) {
      const lull = new Lull(host, () => {
        link.discard();
        onLull();
      });
      this.#context.afterBatch.push(() => {
        lull.worked(this.#context.ended);
        this.#context.ended = 0;
      });
    }
    setNonblocking(tun);
    host.watchLevel(tun, () => {
      // it would be readable (EPOLLERR) for ever
      if (!link.read()) host.unwatch(tun);
    });
    if (first !== undefined) host.defer(() => this.#inject(first));
  }

  /** Loaded and made at the first need. */
  #useDatagrams(): Datagrams {
    return this.#datagrams ??= this.#makeDatagrams();
  }

  /** They register in the place of what is registered here, which only passes on to them. */
  #awaitDatagrams(): void {
    const context = this.#context;
    const { link } = context;
    for (const protocol of [IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6]) {
      link.handlers[protocol] = {
        packet: (packet) => {
          this.#useDatagrams();
          link.handlers[protocol]!.packet(packet);
        },
      };
    }
    link.fragments = { packet: (packet) => this.#useDatagrams().fragments.packet(packet) };
    context.unreachable = (packet, errno) => {
      this.#useDatagrams();
      context.unreachable!(packet, errno);
    };
    context.resolverStream = (asker) => this.#useDatagrams().streams.open(asker);
  }

  work(): void {
    this.#context.host.work();
  }

  /** What waits in place of the holder's loop, instead of being watched and called by it. */
  lead(loopFd: number): Lead {
    return this.#context.host.lead(loopFd);
  }

  /** Where the packets of guests may come from now: the subnets of the bridges that there are. */
  setGuests(guests: readonly InterfaceAddress[]): void {
    this.#context.link.setGuests(guests);
    this.#context.destinations.setGuests(guests);
  }

  /** Connections that were handed over to the kernel until now. */
  get handedOver(): number {
    return this.#tcp.handOvers?.done ?? 0;
  }

  /** For questions that reach the holder by sockets of its own; `work` is to be called then. */
  get forwarder(): DnsForwarder {
    return this.#useDatagrams().forwarder;
  }

  /** The same for connections. */
  get dnsStreams(): DnsStreams {
    return this.#useDatagrams().streams;
  }

  /** Connections (or datagrams) of `listener`, a bound descriptor that the stack owns from now on, go to the guest. */
  publish(port: PublishedPort, listener: number, guest: { ipv4?: string; ipv6?: string }): void {
    setNonblocking(listener);
    if (port.protocol === "tcp") return this.#tcp.publish(port, listener, guest);
    if (port.protocol === "udp") return this.#useDatagrams().publish(port, listener, guest);
    closeSocket(listener);
    throw new Error(`publish ${port.containerPort}/${port.protocol}: the user-mode stack has no such ports`);
  }

  unpublish(port: PublishedPort): void {
    if (port.protocol === "tcp") this.#tcp.unpublish(port);
    if (port.protocol === "udp") this.#datagrams?.unpublish(port);
  }

  /** Resets what is open and closes all descriptors, the TUN among them. */
  dispose(): void {
    const { host, link } = this.#context;
    this.#tcp.dispose();
    this.#datagrams?.dispose();
    host.unwatch(this.#tun);
    closeSocket(link.fd);
    host.dispose();
  }

  #inject(frame: Uint8Array<ArrayBuffer>): void {
    const { link } = this.#context;
    link.inject(frame);
  }
}

/** Raises the soft limit to the hard one. */
function descriptorsLimit(): number {
  const { soft, hard } = getrlimit(RLIMIT_NOFILE);
  if (soft < hard) setrlimit(RLIMIT_NOFILE, { soft: hard, hard });
  return hard;
}

/** What a guest may take of the process's descriptors, so that the holder always has some: UDP a quarter at most. */
export function shareDescriptors(limit: number) {
  const left = Math.max(64, limit - DESCRIPTORS_RESERVED);
  const endpoints = Math.min(MAX_ENDPOINTS, left >> 2);
  const handedOver = Math.min(MAX_HANDED_OVER, left >> 5);
  return { connections: left - endpoints - HANDED_OVER_DESCRIPTORS * handedOver, handedOver, endpoints };
}

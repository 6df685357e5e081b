/**
 * Published UDP ports: what clients send to a socket of the host is brought to the guest with the client's own address,
 * and the guest's answers leave by that socket, from the address that the client had asked.
 */

import { IP_PKTINFO, IPV6_RECVPKTINFO } from "../../../ffi/constants/datagram.ts";
import { IPPROTO_IP, IPPROTO_IPV6, MSG_TRUNC } from "../../../ffi/constants/inet.ts";
import { EPOLLIN } from "../../../ffi/constants/poll.ts";
import { AF_INET6 } from "../../../ffi/constants/socket.ts";
import { DatagramMessage } from "../../../ffi/datagram.ts";
import { EAGAIN } from "../../../ffi/errno.ts";
import { closeSocket, getsockname, setOption } from "../../../ffi/inet.ts";
import type { PublishedPort } from "../plan.ts";
import { type AddressBytes, isGroup, mustParse } from "./addresses.ts";
import type { StackContext } from "./context.ts";
import { isIpv4Words } from "./destinations.ts";
import type { Timer } from "./host.ts";
import { type IpPacket, toWords, type Words } from "./packet.ts";
import { peerKey, sourceWords } from "./udp.ts";
import { dataOffset, sendDatagram, type UdpEnd } from "./udp_packet.ts";
import { socketWords } from "./udp_socket.ts";

const MAX_CLIENTS = 2048;
const DATAGRAMS_A_TURN = 64;
const SILENCE_MS = 180_000;
const SWEEP_MS = 5000;
/** Where clients that share the gateway's address get another port: the dynamic ones of RFC 6335. */
const FIRST_SPARE_PORT = 49152;

interface Publication {
  port: PublishedPort;
  fd: number;
  guests: Words[];
  isDeferred: boolean;
}

interface Client {
  key: string;
  publication: Publication;
  guest: UdpEnd;
  /** As the guest sees it. */
  seen: UdpEnd;
  /** As the socket names it, and where it came to. */
  address: AddressBytes;
  port: number;
  scope: number;
  local: AddressBytes | undefined;
  activeMs: number;
}

export class PublishedUdp {
  readonly #context: StackContext;
  readonly #publications = new Set<Publication>();
  /** Of all publications: a look that spares the guest's other packets the search. */
  readonly #containerPorts = new Map<number, number>();
  /** By socket, client's address and the local one. */
  readonly #clients = new Map<string, Client>();
  /** By the guest's end and the client's as the guest sees it. */
  readonly #seen = new Map<string, Client>();
  readonly #message = new DatagramMessage();
  #sweep: Timer | undefined;
  #sparePort = FIRST_SPARE_PORT;

  constructor(context: StackContext) {
    this.#context = context;
  }

  /** Takes over the bound socket `fd`. */
  publish(port: PublishedPort, fd: number, guest: { ipv4?: string; ipv6?: string }): void {
    const guests = [guest.ipv4, guest.ipv6].filter((text) => text !== undefined)
      .map((text) => toWords(mustParse(text)));
    const publication = { port, fd, guests, isDeferred: false };
    if (getsockname(fd).memory.view.getUint16(0, true) === AF_INET6) {
      setOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    } else setOption(fd, IPPROTO_IP, IP_PKTINFO, 1);
    this.#publications.add(publication);
    this.#containerPorts.set(port.containerPort, (this.#containerPorts.get(port.containerPort) ?? 0) + 1);
    this.#context.host.watch(fd, () => publication.isDeferred || this.#receive(publication), EPOLLIN);
  }

  unpublish(port: PublishedPort): void {
    for (const publication of this.#publications) {
      const { hostAddress, hostPort, containerPort } = publication.port;
      const isIt = hostAddress === port.hostAddress && hostPort === port.hostPort &&
        containerPort === port.containerPort;
      if (isIt) this.#end(publication);
    }
  }

  #end(publication: Publication): void {
    if (!this.#publications.delete(publication)) return;
    const { port: { containerPort }, fd } = publication;
    const left = this.#containerPorts.get(containerPort)! - 1;
    if (left > 0) this.#containerPorts.set(containerPort, left);
    else this.#containerPorts.delete(containerPort);
    for (const client of this.#clients.values()) if (client.publication === publication) this.#forget(client);
    // a copy of the descriptor may be open elsewhere, and then stay in the set
    this.#context.host.unwatch(fd);
    closeSocket(fd);
  }

  /** Sends an answer of the guest to its client; false where it is none. */
  takeAnswer(packet: IpPacket, sourcePort: number, port: number, data: Uint8Array<ArrayBuffer>): boolean {
    if (!this.#containerPorts.has(sourcePort)) return false;
    const { d0, d1, d2, d3 } = packet;
    const client = this.#seen.get(
      seenKey({ words: sourceWords(packet), port: sourcePort }, { words: [d0, d1, d2, d3], port }),
    );
    if (client === undefined) return false;
    client.activeMs = this.#context.host.nowMs;
    this.#message.peer.set(client.address, client.port, client.scope);
    // an error that waited (the client is gone) is told in place of sending
    const result = this.#message.send(client.publication.fd, data, client.local);
    if (result < 0 && result !== -EAGAIN) this.#message.send(client.publication.fd, data, client.local);
    return true;
  }

  #receive(publication: Publication): void {
    const { link, plan, host } = this.#context;
    const { guests } = publication;
    publication.isDeferred = false;
    for (let count = 0; count < DATAGRAMS_A_TURN; count++) {
      if (!this.#publications.has(publication)) return;
      // received where the headers of either version have room, and moved where they are shorter
      const offset = dataOffset(6);
      const buffer = link.out.bytes.subarray(offset);
      const length = this.#message.receive(publication.fd, buffer, MSG_TRUNC);
      if (length === -EAGAIN) return;
      if (length < 0 || length > buffer.length) continue;
      const client = this.#client(publication, guests);
      if (client === undefined) continue;
      client.activeMs = host.nowMs;
      const at = dataOffset(isIpv4Words(client.guest.words) ? 4 : 6);
      if (at !== offset) link.out.bytes.copyWithin(at, offset, offset + length);
      sendDatagram(link, client.seen, client.guest, length, plan.mtu);
    }
    publication.isDeferred = true;
    host.defer(() => this.#receive(publication));
  }

  /** The client of the message that was received; undefined where it cannot be shown to a guest. */
  #client(publication: Publication, guests: readonly Words[]): Client | undefined {
    const { peer } = this.#message;
    const words = socketWords(peer), { port, scope } = peer;
    const found = this.#message.localAddress();
    const local = found && isGroup(found) ? undefined : found;
    const key = `${publication.fd},${words},${port},${scope},${local ?? ""}`;
    const known = this.#clients.get(key);
    if (known) return known;
    if (port === 0) return undefined;
    const seen = this.#seenFrom(words, port, guests, publication.port.containerPort);
    if (seen === undefined) return undefined;
    if (this.#clients.size >= MAX_CLIENTS) this.#forgetOldest();
    const ends = { address: peer.address, port, scope, local };
    const client: Client = { key, publication, ...seen, ...ends, activeMs: 0 };
    this.#clients.set(key, client);
    this.#seen.set(seenKey(client.guest, client.seen), client);
    this.#sweep ??= this.#context.host.after(SWEEP_MS, () => this.#expire());
    return client;
  }

  /**
   * The guest's address that a client reaches, and what it sees as the client's: its own, or, where that means another
   * host inside (127.0.0.1 would be trusted there: CVE-2021-20199), the gateway's.
   */
  #seenFrom(
    words: Words,
    port: number,
    guests: readonly Words[],
    containerPort: number,
  ): { guest: UdpEnd; seen: UdpEnd } | undefined {
    const { destinations } = this.#context;
    const same = guests.find((guest) => isIpv4Words(guest) === isIpv4Words(words));
    const to = same ?? guests[0];
    if (to === undefined) return undefined;
    const guest = { words: to, port: containerPort };
    const isSeenAsItIs = same !== undefined && destinations.isForeign(...words);
    const source = isSeenAsItIs ? words : destinations.gateway(isIpv4Words(to) ? 4 : 6);
    if (source === undefined) return undefined;
    const wanted = { words: source, port };
    if (!this.#seen.has(seenKey(guest, wanted))) return { guest, seen: wanted };
    const spare = this.#sparePortFor(guest, source);
    return spare === undefined ? undefined : { guest, seen: { words: source, port: spare } };
  }

  #sparePortFor(guest: UdpEnd, words: Words): number | undefined {
    // more than there are clients: one is free
    for (let attempt = 0; attempt <= MAX_CLIENTS; attempt++) {
      const port = this.#sparePort;
      this.#sparePort = port === 65535 ? FIRST_SPARE_PORT : port + 1;
      if (!this.#seen.has(seenKey(guest, { words, port }))) return port;
    }
    return undefined;
  }

  #forget(client: Client): void {
    this.#clients.delete(client.key);
    this.#seen.delete(seenKey(client.guest, client.seen));
  }

  #forgetOldest(): void {
    let oldest: Client | undefined;
    for (const client of this.#clients.values()) {
      if (!oldest || client.activeMs < oldest.activeMs) oldest = client;
    }
    if (oldest) this.#forget(oldest);
  }

  #expire(): void {
    const { host } = this.#context;
    for (const client of this.#clients.values()) {
      if (client.activeMs + SILENCE_MS <= host.nowMs) this.#forget(client);
    }
    this.#sweep = this.#clients.size > 0 ? host.after(SWEEP_MS, () => this.#expire()) : undefined;
  }

  /** Clients that are remembered. */
  get size(): number {
    return this.#clients.size;
  }

  dispose(): void {
    this.#context.host.cancel(this.#sweep);
    for (const publication of this.#publications) this.#end(publication);
  }
}

function seenKey(guest: UdpEnd, client: UdpEnd): string {
  return `${peerKey(guest.words, guest.port)}|${peerKey(client.words, client.port)}`;
}

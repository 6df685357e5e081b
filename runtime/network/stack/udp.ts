/**
 * UDP of the guest: a host socket for each of its ports, from which it reaches any number of peers, and by which only
 * those whom it has sent to reach it. The gateway's address stands for the host's loopback, by a socket of its own.
 *
 * @see RFC 4787 (endpoint-independent mapping, address- and port-dependent filtering, expiry)
 */

import { IP_TOS, IPV6_TCLASS } from "../../../ffi/constants/datagram.ts";
import { IPPROTO_IP, IPPROTO_IPV6, MSG_TRUNC } from "../../../ffi/constants/inet.ts";
import { EPOLLERR, EPOLLIN } from "../../../ffi/constants/poll.ts";
import { DatagramMessage, receiveFrom, sendTo } from "../../../ffi/datagram.ts";
import { EAGAIN } from "../../../ffi/errno.ts";
import { closeSocket, setOption, SocketAddress } from "../../../ffi/inet.ts";
import type { StackContext } from "./context.ts";
import { GATEWAY, NAMESERVER, NOBODY, OUTSIDE } from "./destinations.ts";
import type { Timer } from "./host.ts";
import { ERRORS } from "./icmp_message.ts";
import type { IcmpReporter } from "./icmp_report.ts";
import { MAX_ENDPOINTS } from "./limits.ts";
import type { PacketHandler } from "./link.ts";
import { type IpPacket, toWords, VNET_GSO_UDP, VNET_GSO_UDP_L4, type Words } from "./packet.ts";
import { guestOf, type Place, Shares } from "./shares.ts";
import { dataOffset, sendDatagram, UDP_BYTES, type UdpEnd } from "./udp_packet.ts";
import {
  DEFAULT_HOP_LIMIT,
  followHopLimit,
  openDatagramSocket,
  setSocketWords,
  socketWords,
} from "./udp_socket.ts";

const MAX_PEERS = 8192;
const MAX_PEERS_AN_ENDPOINT = 1024;
const DATAGRAMS_A_TURN = 64;
/** The kernel itself makes no more of one. */
const MAX_SEGMENTS = 128;
const SWEEP_MS = 5000;
const DNS_PORT = 53;
/** Of silence: nobody answered yet, an exchange, a question to a nameserver outside. */
export const EXPIRY_MS = { unanswered: 60_000, answered: 180_000, dns: 15_000 };

interface Peer extends UdpEnd {
  /** Where it is for the host: elsewhere than the guest believes, behind the gateway. */
  host: Words;
}

interface Endpoint {
  key: number | string;
  guest: UdpEnd;
  version: 4 | 6;
  fd: number;
  /** By the host's view of them; oldest first. */
  peers: Map<number | string, Peer>;
  activeMs: number;
  isAnswered: boolean;
  hopLimit: number;
  trafficClass: number;
  isDeferred: boolean;
  /** Among the guest's endpoints. */
  place: Place<Endpoint> | undefined;
}

/** Serves what is sent to the nameservers' port 53. */
export interface DnsService {
  ask(query: Uint8Array<ArrayBuffer>, client: UdpEnd, server: UdpEnd): void;
}

/** Takes what belongs to a published port: answers of the guest to its clients. */
export interface PublishedDatagrams {
  takeAnswer(packet: IpPacket, sourcePort: number, port: number, data: Uint8Array<ArrayBuffer>): boolean;
}

const LOOPBACK = { 4: toWords([127, 0, 0, 1]), 6: toWords([...new Array<number>(15).fill(0), 1]) };

export class UdpHandler implements PacketHandler {
  readonly #context: StackContext;
  readonly #report: IcmpReporter;
  readonly #dns: DnsService;
  readonly #published: PublishedDatagrams;
  readonly #limit: number;
  readonly #endpoints = new Map<number | string, Endpoint>();
  readonly #shares = new Shares<Endpoint>();
  #peerCount = 0;
  #sweep: Timer | undefined;
  readonly #address = new SocketAddress();
  readonly #message = new DatagramMessage();

  constructor(
    context: StackContext,
    report: IcmpReporter,
    dns: DnsService,
    published: PublishedDatagrams,
    limit = MAX_ENDPOINTS,
  ) {
    this.#context = context;
    this.#report = report;
    this.#dns = dns;
    this.#published = published;
    this.#limit = limit;
  }

  packet(packet: IpPacket): void {
    const { transport, end, view, version } = packet;
    if (transport + UDP_BYTES > end) return;
    const length = view.getUint16(transport + 4);
    if (length < UDP_BYTES || transport + length > end) return;
    packet.end = transport + length;
    const checksum = view.getUint16(transport + 6);
    if (checksum === 0 ? version === 6 : !packet.isChecksumRight()) return;
    if (packet.gsoType !== 0 && packet.gsoType !== VNET_GSO_UDP && packet.gsoType !== VNET_GSO_UDP_L4) return;
    const sourcePort = view.getUint16(transport), port = view.getUint16(transport + 2);
    if (port === 0 || sourcePort === 0) return;
    const data = packet.bytes.subarray(transport + UDP_BYTES, packet.end);
    if (this.#published.takeAnswer(packet, sourcePort, port, data)) return;
    this.#route(packet, sourcePort, port, data);
  }

  #route(packet: IpPacket, sourcePort: number, port: number, data: Uint8Array<ArrayBuffer>): void {
    const { d0, d1, d2, d3 } = packet;
    const words: Words = [d0, d1, d2, d3];
    const destination = this.#context.destinations.of(d0, d1, d2, d3);
    if (destination === NAMESERVER && port === DNS_PORT) {
      const client = { words: sourceWords(packet), port: sourcePort };
      return this.#dns.ask(data.slice(), client, { words, port });
    }
    const isGateway = destination === GATEWAY;
    if (isGateway ? !this.#context.plan.allowHostLoopback : destination !== OUTSIDE) {
      // nobody: groups and loopback get silence, which the reporter sees to
      const { hostUnreachable, portUnreachable } = ERRORS;
      return this.#report.about(packet, destination === NOBODY ? hostUnreachable : portUnreachable);
    }
    if (destination === OUTSIDE && packet.hopLimit <= 1) {
      return this.#report.about(packet, ERRORS.timeExceeded);
    }
    const host = isGateway ? LOOPBACK[packet.version] : words;
    const endpoint = this.#endpoint(packet, sourcePort, isGateway);
    if (typeof endpoint === "number") return this.#report.failed(packet, -endpoint);
    this.#rememberPeer(endpoint, { words, port, host });
    endpoint.activeMs = this.#context.host.nowMs;
    if (!isGateway) followHeader(endpoint, packet);
    this.#send(endpoint, packet, data, setSocketWords(this.#address, host, port));
  }

  #send(endpoint: Endpoint, packet: IpPacket, data: Uint8Array<ArrayBuffer>, to: SocketAddress): void {
    const size = packet.gsoType === VNET_GSO_UDP_L4 && packet.gsoSize > 0 ? packet.gsoSize : data.length;
    if (data.length > size * MAX_SEGMENTS) return;
    let at = 0;
    do {
      const part = size === data.length ? data : data.subarray(at, at + size);
      let result = sendTo(endpoint.fd, part, to);
      if (result < 0 && result !== -EAGAIN) {
        // the error of an earlier datagram is told in place of sending this one
        if (this.#readErrors(endpoint) > 0) result = sendTo(endpoint.fd, part, to);
        if (result < 0 && result !== -EAGAIN) return this.#report.failed(packet, -result);
      }
      at += size;
    } while (at < data.length);
  }

  /** The endpoint of the guest's port, made where there is none; -errno where it cannot be. */
  #endpoint(packet: IpPacket, port: number, isGateway: boolean): Endpoint | number {
    const { s0, s1, s2, s3, version } = packet;
    const key = version === 4
      ? ((s3 >>> 0) * 65536 + port) * 2 + (isGateway ? 1 : 0)
      : `${s0},${s1},${s2},${s3},${port},${isGateway}`;
    const found = this.#endpoints.get(key);
    if (found !== undefined) return found;
    if (this.#endpoints.size >= this.#limit) this.#closeOldest();
    const outbound = isGateway ? undefined : this.#context.plan.outbound;
    let fd = openDatagramSocket(version, 0, outbound);
    if (fd < 0 && this.#endpoints.size > 0) {
      this.#closeOldest(); // too many descriptors, perhaps
      fd = openDatagramSocket(version, 0, outbound);
    }
    if (fd < 0) return fd;
    const endpoint: Endpoint = {
      key,
      guest: { words: [s0, s1, s2, s3], port },
      version,
      fd,
      peers: new Map(),
      activeMs: this.#context.host.nowMs,
      isAnswered: false,
      hopLimit: DEFAULT_HOP_LIMIT,
      trafficClass: 0,
      isDeferred: false,
      place: undefined,
    };
    this.#endpoints.set(key, endpoint);
    endpoint.place = this.#shares.add(guestOf(s0, s1, s2, s3), endpoint);
    this.#sweep ??= this.#context.host.after(SWEEP_MS, () => this.#expire());
    this.#context.host.watch(fd, (events) => this.#ready(endpoint, events), EPOLLIN);
    return endpoint;
  }

  #rememberPeer(endpoint: Endpoint, peer: Peer): void {
    const key = peerKey(peer.host, peer.port);
    if (endpoint.peers.has(key)) return;
    const oldest = endpoint.peers.keys().next().value;
    if (oldest !== undefined && endpoint.peers.size >= MAX_PEERS_AN_ENDPOINT) {
      endpoint.peers.delete(oldest);
      this.#peerCount--;
    }
    endpoint.peers.set(key, peer);
    this.#peerCount++;
    if (this.#peerCount > MAX_PEERS) this.#closeOldest(endpoint);
  }

  #ready(endpoint: Endpoint, events: number): void {
    if (events & EPOLLERR) this.#readErrors(endpoint);
    this.#receive(endpoint);
  }

  #receive(endpoint: Endpoint): void {
    endpoint.isDeferred = false;
    const { link, plan, host } = this.#context;
    const buffer = link.out.bytes.subarray(dataOffset(endpoint.version));
    for (let count = 0; count < DATAGRAMS_A_TURN; count++) {
      if (this.#endpoints.get(endpoint.key) !== endpoint) return;
      const length = receiveFrom(endpoint.fd, buffer, this.#address, MSG_TRUNC);
      if (length === -EAGAIN) return;
      // an error of an earlier datagram, which the error queue tells in full
      if (length < 0) {
        if (this.#readErrors(endpoint) === 0) return;
        continue;
      }
      const peer = endpoint.peers.get(peerKey(socketWords(this.#address), this.#address.port));
      // of IPv6 there are datagrams that no interface here takes
      if (peer === undefined || length > buffer.length) continue;
      endpoint.activeMs = host.nowMs;
      endpoint.isAnswered = true;
      sendDatagram(link, peer, endpoint.guest, length, plan.mtu);
    }
    if (endpoint.isDeferred) return;
    endpoint.isDeferred = true;
    host.defer(() => this.#receive(endpoint));
  }

  /** Tells the guest what became of its datagrams; gives how many errors there were. */
  #readErrors(endpoint: Endpoint): number {
    let count = 0;
    for (; count < DATAGRAMS_A_TURN; count++) {
      const error = this.#message.receiveError(endpoint.fd);
      if (error === undefined) break;
      const { peer: address } = this.#message;
      const peer = endpoint.peers.get(peerKey(socketWords(address), address.port));
      if (peer) this.#report.aboutDatagram(endpoint.guest, peer, error);
    }
    return count;
  }

  #expire(): void {
    this.#sweep = undefined;
    const { host } = this.#context;
    for (const endpoint of this.#endpoints.values()) {
      if (endpoint.activeMs + expiryOf(endpoint) <= host.nowMs) this.#close(endpoint);
    }
    if (this.#endpoints.size > 0) this.#sweep = host.after(SWEEP_MS, () => this.#expire());
  }

  /** Of the guest that has most, unless one is to stay, whose many peers are the reason. */
  #closeOldest(except?: Endpoint): void {
    let oldest: Endpoint | undefined;
    for (const endpoint of except ? this.#endpoints.values() : this.#shares.most()) {
      if (endpoint !== except && (!oldest || endpoint.activeMs < oldest.activeMs)) oldest = endpoint;
    }
    if (oldest) this.#close(oldest);
  }

  #close(endpoint: Endpoint): void {
    this.#endpoints.delete(endpoint.key);
    this.#shares.delete(endpoint.place!);
    this.#peerCount -= endpoint.peers.size;
    this.#context.host.forget(endpoint.fd);
    closeSocket(endpoint.fd);
  }

  /** Host sockets that are open. */
  get size(): number {
    return this.#endpoints.size;
  }

  dispose(): void {
    this.#context.host.cancel(this.#sweep);
    for (const endpoint of this.#endpoints.values()) this.#close(endpoint);
  }
}

function expiryOf({ peers, isAnswered }: Endpoint): number {
  if (peers.size === 1 && peers.values().next().value!.port === DNS_PORT) return EXPIRY_MS.dns;
  return isAnswered ? EXPIRY_MS.answered : EXPIRY_MS.unanswered;
}

/** Hops and class go with the packet, as a router passes it. */
function followHeader(endpoint: Endpoint, { hopLimit, trafficClass, version }: IpPacket): void {
  followHopLimit(endpoint, hopLimit);
  if (trafficClass === endpoint.trafficClass) return;
  if (version === 4) setOption(endpoint.fd, IPPROTO_IP, IP_TOS, trafficClass);
  else setOption(endpoint.fd, IPPROTO_IPV6, IPV6_TCLASS, trafficClass);
  endpoint.trafficClass = trafficClass;
}

/** A number for IPv4, which costs less than a text. */
export function peerKey([a, b, c, d]: Words, port: number): number | string {
  return a === 0 && b === 0 && c === 0xffff ? (d >>> 0) * 65536 + port : `${a},${b},${c},${d},${port}`;
}

export function sourceWords({ s0, s1, s2, s3 }: IpPacket): Words {
  return [s0, s1, s2, s3];
}

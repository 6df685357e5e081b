/**
 * Echo requests of the guest: answered here for the stack's own addresses, sent on by the kernel's unprivileged ping
 * sockets for all others. Where these are not allowed the guest is told that it is prohibited.
 *
 * @see net.ipv4.ping_group_range in icmp(7)
 */

import { IPPROTO_ICMP, IPPROTO_ICMPV6, MSG_TRUNC } from "../../../ffi/constants/inet.ts";
import { EPOLLERR, EPOLLIN } from "../../../ffi/constants/poll.ts";
import { DatagramMessage, sendTo } from "../../../ffi/datagram.ts";
import { EAGAIN } from "../../../ffi/errno.ts";
import { closeSocket, connectTo, SocketAddress } from "../../../ffi/inet.ts";
import type { StackContext } from "./context.ts";
import { GATEWAY, NAMESERVER, OUTSIDE } from "./destinations.ts";
import type { Timer } from "./host.ts";
import { ERRORS, sendIcmp } from "./icmp_message.ts";
import type { IcmpReporter } from "./icmp_report.ts";
import { MAX_PINGS } from "./limits.ts";
import type { IpPacket, Words } from "./packet.ts";
import { DEFAULT_HOP_LIMIT, followHopLimit, openDatagramSocket, setSocketWords } from "./udp_socket.ts";
import { sourceWords } from "./udp.ts";

export const ECHO = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const;
/** Type, code, checksum, id, sequence number. */
const ECHO_BYTES = 8;

const SILENCE_MS = 30_000;
const SWEEP_MS = 5000;
const REPLIES_A_TURN = 32;
/** What fits into a packet's memory behind either header. */
const REPLY_LIMIT_BYTES = 65_480;

/** One running ping: an id of a guest and whom it asks. */
interface Ping {
  key: string;
  version: 4 | 6;
  guest: Words;
  target: Words;
  id: number;
  fd: number;
  hopLimit: number;
  activeMs: number;
}

export class Echo {
  readonly #context: StackContext;
  readonly #report: IcmpReporter;
  readonly #pings = new Map<string, Ping>();
  readonly #message = new DatagramMessage();
  /** Made by the first reply: not every stack pings. */
  #buffer: Uint8Array<ArrayBuffer> | undefined;
  #sweep: Timer | undefined;

  constructor(context: StackContext, report: IcmpReporter) {
    this.#context = context;
    this.#report = report;
  }

  /** `packet` is an echo request, its checksum right. */
  request(packet: IpPacket): void {
    const { d0, d1, d2, d3, transport, end, bytes, version } = packet;
    if (end - transport < ECHO_BYTES) return;
    const target: Words = [d0, d1, d2, d3];
    const destination = this.#context.destinations.of(...target);
    if (destination === GATEWAY || destination === NAMESERVER) {
      const message = { from: target, to: sourceWords(packet), type: ECHO[version].reply, code: 0 };
      const { link, plan } = this.#context;
      sendIcmp(link, message, bytes.subarray(transport + 4, end), plan.mtu);
    } else if (destination !== OUTSIDE) this.#report.about(packet, ERRORS.hostUnreachable);
    else if (packet.hopLimit <= 1) this.#report.about(packet, ERRORS.timeExceeded);
    else this.#send(packet, target);
  }

  #send(packet: IpPacket, target: Words): void {
    const ping = this.#ping(packet, target);
    if (typeof ping === "number") return this.#report.failed(packet, -ping);
    ping.activeMs = this.#context.host.nowMs;
    followHopLimit(ping, packet.hopLimit);
    // the kernel writes its own id and the checksum
    const data = packet.bytes.subarray(packet.transport, packet.end);
    let result = sendTo(ping.fd, data, null);
    if (result < 0 && this.#readErrors(ping) > 0) result = sendTo(ping.fd, data, null);
    if (result < 0 && result !== -EAGAIN) this.#report.failed(packet, -result);
  }

  /** -errno where there can be none. */
  #ping(packet: IpPacket, target: Words): Ping | number {
    const { version, view, transport } = packet;
    const guest = sourceWords(packet);
    const id = view.getUint16(transport + 4);
    const key = `${guest},${target},${id}`;
    const known = this.#pings.get(key);
    if (known) return known;
    if (this.#pings.size >= MAX_PINGS) this.#closeOldest();
    const protocol = version === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    const fd = openDatagramSocket(version, protocol, this.#context.plan.outbound);
    if (fd < 0) return fd;
    const result = connectTo(fd, setSocketWords(new SocketAddress(), target, 0));
    if (result < 0) {
      closeSocket(fd);
      return result;
    }
    const { host } = this.#context;
    const ping: Ping = {
      ...{ key, version, guest, target, id, fd },
      hopLimit: DEFAULT_HOP_LIMIT,
      activeMs: host.nowMs,
    };
    this.#pings.set(key, ping);
    this.#sweep ??= host.after(SWEEP_MS, () => this.#expire());
    host.watch(fd, (events) => this.#ready(ping, events), EPOLLIN);
    return ping;
  }

  #ready(ping: Ping, events: number): void {
    if (events & EPOLLERR) this.#readErrors(ping);
    this.#receive(ping);
  }

  #receive(ping: Ping): void {
    const { link, host, plan } = this.#context;
    const buffer = this.#buffer ??= new Uint8Array(REPLY_LIMIT_BYTES);
    for (let count = 0; count < REPLIES_A_TURN; count++) {
      if (this.#pings.get(ping.key) !== ping) return;
      const length = this.#message.receive(ping.fd, buffer, MSG_TRUNC);
      if (length === -EAGAIN) return;
      if (length < 0) {
        if (this.#readErrors(ping) === 0) return;
        continue;
      }
      if (length < ECHO_BYTES || length > REPLY_LIMIT_BYTES || buffer[0] !== ECHO[ping.version].reply) {
        continue;
      }
      ping.activeMs = host.nowMs;
      buffer[4] = ping.id >> 8;
      buffer[5] = ping.id & 255;
      const message = { from: ping.target, to: ping.guest, type: buffer[0]!, code: 0 };
      sendIcmp(link, message, buffer.subarray(4, length), plan.mtu);
    }
    host.defer(() => this.#receive(ping));
  }

  #readErrors(ping: Ping): number {
    let count = 0;
    for (; count < REPLIES_A_TURN; count++) {
      const transport = new Uint8Array(ECHO_BYTES);
      const error = this.#message.receiveError(ping.fd, transport);
      if (error === undefined) break;
      // the header that was sent, whose sequence number the guest looks for
      transport[0] = ECHO[ping.version].request;
      transport[4] = ping.id >> 8;
      transport[5] = ping.id & 255;
      const protocol = ping.version === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
      this.#report.aboutSent(protocol, ping.guest, ping.target, transport, error);
    }
    return count;
  }

  #expire(): void {
    const { host } = this.#context;
    for (const ping of this.#pings.values()) if (ping.activeMs + SILENCE_MS <= host.nowMs) this.#close(ping);
    this.#sweep = this.#pings.size > 0 ? host.after(SWEEP_MS, () => this.#expire()) : undefined;
  }

  #closeOldest(): void {
    let oldest: Ping | undefined;
    for (const ping of this.#pings.values()) if (!oldest || ping.activeMs < oldest.activeMs) oldest = ping;
    if (oldest) this.#close(oldest);
  }

  #close(ping: Ping): void {
    this.#pings.delete(ping.key);
    this.#context.host.forget(ping.fd);
    closeSocket(ping.fd);
  }

  /** Sockets that are open. */
  get size(): number {
    return this.#pings.size;
  }

  dispose(): void {
    this.#context.host.cancel(this.#sweep);
    for (const ping of this.#pings.values()) this.#close(ping);
  }
}

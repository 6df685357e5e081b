/** A stack over a socket pair in place of the TUN, and the guest's side of it: builds and reads packets. For tests. */

import { equal } from "node:assert/strict";
import { POLLIN } from "../../../ffi/constants/poll.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
} from "../../../ffi/constants/socket.ts";
import { receiveFrom, sendTo } from "../../../ffi/datagram.ts";
import { bindTo, closeSocket, getsockname, openSocket, setOption, SocketAddress } from "../../../ffi/inet.ts";
import { SO_RCVBUF, SO_SNDBUF, SOL_SOCKET } from "../../../ffi/constants/socket.ts";
import { pollBlocking } from "../../../ffi/poll.ts";
import { socketpair } from "../../../ffi/socket.ts";
import type { StackPlan } from "../plan.ts";
import { formatAddress, mustParse } from "./addresses.ts";
import * as datagrams from "./datagrams.ts";
import { fold, IpPacket, sum, VNET_BYTES, VNET_NEEDS_CSUM } from "./packet.ts";
import { Slot } from "./slots.ts";
import { Stack, type StackOptions } from "./stack.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

export const GUEST = "10.0.2.100", GATEWAY = "10.0.2.2", NAMESERVER = "10.0.2.3";
export const GUEST6 = "fd00::100", GATEWAY6 = "fd00::2", NAMESERVER6 = "fd00::3";

export const PLAN: StackPlan = {
  mtu: 65520,
  guests: [{ address: GUEST, prefix: 32 }, { address: GUEST6, prefix: 128 }],
  networks: [{ address: "10.0.2.0", prefix: 24 }, { address: "fd00::", prefix: 64 }],
  gateways: [GATEWAY, GATEWAY6],
  nameservers: [NAMESERVER, NAMESERVER6],
  allowHostLoopback: false,
  dns: { resolvConf: "/nonexistent", servers: ["127.0.0.1"] },
};

/** What the guest gets. */
export interface Packet {
  version: 4 | 6;
  protocol: number;
  source: string;
  destination: string;
  hopLimit: number;
  /** From the protocol's header on, its checksum complete. */
  payload: Bytes;
  isFragment: boolean;
  fragmentOffset: number;
  moreFragments: boolean;
  /** Whether the checksum is right: of no meaning for a fragment. */
  isRight: boolean;
  frame: Bytes;
}

export class GuestRig {
  readonly stack: Stack;
  readonly faults: unknown[] = [];
  readonly received: Packet[] = [];
  readonly #fd: number;
  readonly #buffer = new Uint8Array(70_000);
  readonly #from = new SocketAddress();
  readonly #slot = new Slot();

  constructor(plan: Partial<StackPlan> = {}, options: Partial<StackOptions> = {}) {
    const [tun, guest] = socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC);
    for (const fd of [tun, guest]) {
      setOption(fd, SOL_SOCKET, SO_SNDBUF, 4 << 20);
      setOption(fd, SOL_SOCKET, SO_RCVBUF, 4 << 20);
    }
    this.#fd = guest;
    const onFault = (error: unknown) => this.faults.push(error);
    this.stack = new Stack({
      tun,
      plan: { ...PLAN, ...plan },
      loadDatagrams: () => datagrams,
      onFault,
      ...options,
    });
  }

  /** Sends a frame and lets the stack work. */
  send(frame: Bytes): void {
    equal(sendTo(this.#fd, frame, null), frame.length);
    this.work();
  }

  work(): void {
    this.stack.work();
    for (;;) {
      const length = receiveFrom(this.#fd, this.#buffer, this.#from);
      if (length < 0) return;
      this.received.push(readPacket(this.#slot, this.#buffer.slice(0, length)));
    }
  }

  /** Works until `condition` gives something; the test fails after half a minute. */
  until<T>(condition: () => T | undefined | false, what = "what is waited for"): T {
    const end = performance.now() + 30_000;
    for (;;) {
      this.work();
      const found = condition();
      if (found !== undefined && found !== false) return found;
      if (performance.now() > end) throw new Error(`did not come: ${what}`);
      pollBlocking(this.stack.fd, POLLIN, 2);
    }
  }

  /** The next packet of that protocol, which is taken out. */
  next(protocol: number): Packet {
    return this.until(() => {
      const index = this.received.findIndex((packet) => packet.protocol === protocol);
      return index === -1 ? undefined : this.received.splice(index, 1)[0];
    }, `a packet of protocol ${protocol}`);
  }

  [Symbol.dispose](): void {
    this.stack.dispose();
    closeSocket(this.#fd);
    // a test that expects faults takes them out
    equal(this.faults.length, 0, `the stack had faults: ${(this.faults[0] as Error)?.stack}`);
  }
}

function readPacket(slot: Slot, frame: Bytes): Packet {
  slot.bytes.set(frame);
  const view = new DataView(frame.buffer);
  if (frame[0]! & VNET_NEEDS_CSUM) {
    const start = VNET_BYTES + view.getUint16(6, true), offset = view.getUint16(8, true);
    const checksum = ~sum(slot.bytes, start, frame.length, 0) & 0xffff;
    slot.view.setUint16(start + offset, checksum === 0 ? 0xffff : checksum);
    slot.view.setUint8(0, 0);
  }
  const packet = new IpPacket();
  equal(packet.parse(slot, frame.length), true, "the guest gets a whole IP packet");
  const { version, protocol, hopLimit, transport, end, isFragment, fragmentOffset, moreFragments } = packet;
  const isRight = protocol === 1 ? sum(slot.bytes, transport, end, 0) === 0xffff : packet.isChecksumRight();
  return {
    ...{ version, protocol, hopLimit, isFragment, fragmentOffset, moreFragments, isRight, frame },
    source: formatAddress(packet.source()),
    destination: formatAddress(packet.destination()),
    payload: slot.bytes.slice(transport, end),
  };
}

export interface IpFields {
  from?: string;
  to: string;
  protocol: number;
  hopLimit?: number;
  /** IPv4: the 16 bits of flags and offset; IPv6: those of a fragment header. */
  fragment?: { id: number; offset: number; more: boolean };
}

/** A frame: vnet header, IP header, `payload`. */
export function ipFrame(fields: IpFields, payload: ArrayLike<number>): Bytes {
  const to = mustParse(fields.to);
  const from = mustParse(fields.from ?? (to.length === 4 ? GUEST : GUEST6));
  const { protocol, hopLimit = 64, fragment } = fields;
  if (to.length === 4) {
    const frame = new Uint8Array(VNET_BYTES + 20 + payload.length);
    const view = new DataView(frame.buffer, VNET_BYTES);
    view.setUint32(0, 0x45000000 | (20 + payload.length));
    if (fragment) {
      view.setUint16(4, fragment.id);
      view.setUint16(6, (fragment.more ? 0x2000 : 0) | fragment.offset >> 3);
    }
    view.setUint16(8, hopLimit << 8 | protocol);
    frame.set(from, VNET_BYTES + 12);
    frame.set(to, VNET_BYTES + 16);
    view.setUint16(10, ~sum(frame, VNET_BYTES, VNET_BYTES + 20, 0) & 0xffff);
    frame.set(payload, VNET_BYTES + 20);
    return frame;
  }
  const extra = fragment ? 8 : 0;
  const frame = new Uint8Array(VNET_BYTES + 40 + extra + payload.length);
  const view = new DataView(frame.buffer, VNET_BYTES);
  view.setUint32(0, 0x60000000);
  view.setUint16(4, extra + payload.length);
  view.setUint16(6, (fragment ? 44 : protocol) << 8 | hopLimit);
  frame.set(from, VNET_BYTES + 8);
  frame.set(to, VNET_BYTES + 24);
  if (fragment) {
    view.setUint16(40, protocol << 8);
    view.setUint16(42, fragment.offset | (fragment.more ? 1 : 0));
    view.setUint32(44, fragment.id);
  }
  frame.set(payload, VNET_BYTES + 40 + extra);
  return frame;
}

/** A transport's checksum over the pseudo header, to be put at `offset`. */
export function withChecksum(
  from: string,
  to: string,
  protocol: number,
  payload: Bytes,
  offset: number,
): Bytes {
  const addresses = new Uint8Array([...mustParse(from), ...mustParse(to)]);
  const pseudo = fold(sum(addresses, 0, addresses.length, 0) + protocol + payload.length);
  const value = ~sum(payload, 0, payload.length, pseudo) & 0xffff;
  payload.set([value >> 8, value & 255], offset);
  return payload;
}

/** The UDP header and data, with its checksum. */
export function udpPayload(from: [string, number], to: [string, number], data: ArrayLike<number>): Bytes {
  const payload = new Uint8Array(8 + data.length);
  const view = new DataView(payload.buffer);
  view.setUint16(0, from[1]);
  view.setUint16(2, to[1]);
  view.setUint16(4, payload.length);
  payload.set(data, 8);
  return withChecksum(from[0], to[0], 17, payload, 6);
}

export function udpFrame(
  port: number,
  to: [string, number],
  data: ArrayLike<number>,
  fields: Partial<IpFields> = {},
): Bytes {
  const from = fields.from ?? (to[0].includes(":") ? GUEST6 : GUEST);
  return ipFrame({ to: to[0], protocol: 17, ...fields }, udpPayload([from, port], to, data));
}

/** An ICMP or ICMPv6 message: type, code, and what follows the checksum. */
export function icmpFrame(
  to: string,
  [type, code]: [number, number],
  rest: ArrayLike<number>,
  fields: Partial<IpFields> = {},
): Bytes {
  const payload = new Uint8Array(4 + rest.length);
  payload.set([type, code]);
  payload.set(rest, 4);
  if (to.includes(":")) {
    withChecksum(fields.from ?? GUEST6, to, 58, payload, 2);
    return ipFrame({ to, protocol: 58, ...fields }, payload);
  }
  const value = ~sum(payload, 0, payload.length, 0) & 0xffff;
  payload.set([value >> 8, value & 255], 2);
  return ipFrame({ to, protocol: 1, ...fields }, payload);
}

/** A UDP socket of the host. */
export class HostUdp {
  readonly fd: number;
  readonly port: number;
  readonly from = new SocketAddress();
  constructor(readonly address: string, port = 0) {
    const bytes = mustParse(address);
    this.fd = openSocket(
      bytes.length === 4 ? AF_INET : AF_INET6,
      SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
      0,
    );
    equal(bindTo(this.fd, new SocketAddress().set(bytes, port)), 0, `bind ${address}`);
    this.port = getsockname(this.fd).port;
  }
  /** A datagram that is there; its sender is then in `from`. */
  receive(): Bytes | undefined {
    const buffer = new Uint8Array(65536);
    const length = receiveFrom(this.fd, buffer, this.from);
    return length < 0 ? undefined : buffer.slice(0, length);
  }
  /** To who sent last, unless another is given. */
  send(data: ArrayLike<number>, to: SocketAddress = this.from): void {
    equal(sendTo(this.fd, Uint8Array.from(data), to), data.length);
  }
  [Symbol.dispose](): void {
    closeSocket(this.fd);
  }
}

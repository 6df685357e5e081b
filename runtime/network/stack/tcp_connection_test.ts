import { deepStrictEqual as equal } from "node:assert/strict";
import {
  AF_INET,
  SHUT_WR,
  SO_RCVBUF,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from "../../../ffi/constants/socket.ts";
import { receiveFrom, sendTo } from "../../../ffi/datagram.ts";
import { EAGAIN } from "../../../ffi/errno.ts";
import {
  acceptFrom,
  bindTo,
  closeSocket,
  getsockname,
  openSocket,
  resetSocket,
  setOption,
  shutdownSocket,
  SocketAddress,
} from "../../../ffi/inet.ts";
import { listen } from "../../../ffi/socket.ts";
import { mustParse } from "./addresses.ts";
import { GATEWAY, GUEST, GuestRig, ipFrame, type Packet, withChecksum } from "./guest_rig.ts";
import { ACK, FIN, RST, SYN } from "./tcp_segment.ts";

const TCP = 6;
const GUEST_PORT = 40_000;

/** A server of the host's loopback whose kernel takes little, and one connection of the guest to it. */
class Connected {
  readonly rig = new GuestRig({ allowHostLoopback: true });
  readonly #listener: number;
  readonly #port: number;
  /** The server's end. */
  readonly server: number;
  /** The guest's next number, and the one that it expects. */
  sequence = 1000;
  expected = 0;

  constructor() {
    this.#listener = openSocket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setOption(this.#listener, SOL_SOCKET, SO_RCVBUF, 4096);
    equal(bindTo(this.#listener, new SocketAddress().set(mustParse("127.0.0.1"), 0)), 0);
    listen(this.#listener, 1);
    this.#port = getsockname(this.#listener).port;
    this.send(SYN);
    this.sequence++;
    const [answer] = this.until((packet) => flagsOf(packet) & SYN);
    this.expected = (new DataView(answer!.payload.buffer).getUint32(4) + 1) | 0;
    this.send(ACK);
    this.server = this.rig.until(() => {
      const fd = acceptFrom(this.#listener, new SocketAddress(), SOCK_NONBLOCK | SOCK_CLOEXEC);
      return fd >= 0 && fd;
    });
  }

  send(flags: number, data = new Uint8Array(), acknowledged = this.expected): void {
    const segment = new Uint8Array(20 + data.length);
    const view = new DataView(segment.buffer);
    view.setUint16(0, GUEST_PORT);
    view.setUint16(2, this.#port);
    view.setInt32(4, this.sequence);
    view.setInt32(8, acknowledged);
    view.setUint16(12, 0x5000 | flags);
    view.setUint16(14, 60_000);
    segment.set(data, 20);
    const payload = withChecksum(GUEST, GATEWAY, TCP, segment, 16);
    this.rig.send(ipFrame({ to: GATEWAY, protocol: TCP }, payload));
  }

  /** All packets up to the first for which `condition` holds, which is the first of them. */
  until(condition: (packet: Packet) => number | boolean): Packet[] {
    return this.rig.until(() => {
      const index = this.rig.received.findIndex(condition);
      return index !== -1 && this.rig.received.splice(0, index + 1).reverse();
    });
  }

  /** What the server reads until the end, or the errno that it gets in its place, negated. */
  readAll(): { count: number; end: number } {
    const buffer = new Uint8Array(65_536);
    let count = 0;
    return this.rig.until(() => {
      for (;;) {
        const length = receiveFrom(this.server, buffer, new SocketAddress());
        if (length === -EAGAIN) return false;
        if (length <= 0) return { count, end: length };
        count += length;
      }
    });
  }

  [Symbol.dispose](): void {
    closeSocket(this.server);
    closeSocket(this.#listener);
    this.rig[Symbol.dispose]();
  }
}

const flagsOf = ({ payload }: Packet) => payload[13]!;
const windowOf = ({ payload }: Packet) => payload[14]! << 8 | payload[15]!;

Deno.test("what the guest sent arrives whole though the last that it got was acknowledged with its end", () => {
  using connected = new Connected();
  const { server } = connected;
  const sent = new Uint8Array(60_000);
  connected.send(ACK, sent);
  connected.sequence += sent.length;
  equal(sendTo(server, new Uint8Array(2), null), 2);
  shutdownSocket(server, SHUT_WR);
  connected.until((packet) => flagsOf(packet) & FIN);
  connected.expected = (connected.expected + 3) | 0;
  connected.send(FIN | ACK);
  connected.rig.work();
  equal(connected.readAll(), { count: sent.length, end: 0 });
});

Deno.test("a host that resets while it does not read is a reset for the guest, no end", () => {
  using connected = new Connected();
  const data = new Uint8Array(32_000);
  // without a scale the window is full at 65,535 bytes: it shrinks when the host's kernel takes no more
  for (let window = 0xffff; window >= data.length;) {
    connected.send(ACK, data);
    connected.sequence += data.length;
    window = windowOf(connected.until((packet) => flagsOf(packet) & ACK)[0]!);
  }
  connected.rig.received.length = 0;
  resetSocket(connected.server);
  const [last] = connected.until((packet) => flagsOf(packet) & (RST | FIN));
  equal(flagsOf(last!) & (RST | FIN), RST);
});

Deno.test("data that acknowledges what is long past is not believed (RFC 5961, 5)", () => {
  using connected = new Connected();
  const { server, expected } = connected;
  const buffer = new Uint8Array(100);
  connected.send(ACK, new Uint8Array(10), (expected - (1 << 30)) | 0);
  connected.until((packet) => flagsOf(packet) & ACK);
  equal(receiveFrom(server, buffer, new SocketAddress()), -EAGAIN);
  connected.send(ACK, new Uint8Array(10));
  equal(connected.rig.until(() => Math.max(0, receiveFrom(server, buffer, new SocketAddress()))), 10);
});

import { deepStrictEqual as equal } from "node:assert/strict";
import {
  AF_INET,
  MSG_DONTWAIT,
  SHUT_WR,
  SO_RCVBUF,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from "../../../ffi/constants/socket.ts";
import { MSG_OOB } from "../../../ffi/constants/inet.ts";
import { receiveFrom, sendTo } from "../../../ffi/datagram.ts";
import { EAGAIN } from "../../../ffi/errno.ts";
import {
  acceptFrom,
  bindTo,
  closeSocket,
  getsockname,
  Memory,
  openSocket,
  resetSocket,
  sendFrom,
  setOption,
  shutdownSocket,
  SocketAddress,
} from "../../../ffi/inet.ts";
import { listen } from "../../../ffi/socket.ts";
import { mustParse } from "./addresses.ts";
import { GATEWAY, GUEST, GuestRig, ipFrame, type Packet, withChecksum } from "./guest_rig.ts";
import type { StackOptions } from "./stack.ts";
import { ACK, FIN, PSH, RST, SYN, URG } from "./tcp_segment.ts";

const TCP = 6;
const GUEST_PORT = 40_000;
/** Of the guest, which does not scale it. */
const WINDOW = 60_000;

/** A server of the host's loopback whose kernel takes little, and one connection of the guest to it. */
class Connected {
  readonly rig: GuestRig;
  readonly #listener: number;
  readonly #port: number;
  /** The server's end. */
  readonly server: number;
  /** The guest's next number, and the one that it expects. */
  sequence = 1000;
  expected = 0;

  constructor(options: Partial<StackOptions> = {}, synOptions: number[] = []) {
    this.rig = new GuestRig({ allowHostLoopback: true }, options);
    this.#listener = openSocket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setOption(this.#listener, SOL_SOCKET, SO_RCVBUF, 4096);
    equal(bindTo(this.#listener, new SocketAddress().set(mustParse("127.0.0.1"), 0)), 0);
    listen(this.#listener, 1);
    this.#port = getsockname(this.#listener).port;
    this.send(SYN, undefined, undefined, synOptions);
    this.sequence++;
    const [answer] = this.until((packet) => flagsOf(packet) & SYN);
    this.expected = (new DataView(answer!.payload.buffer).getUint32(4) + 1) | 0;
    this.send(ACK);
    this.server = this.rig.until(() => {
      const fd = acceptFrom(this.#listener, new SocketAddress(), SOCK_NONBLOCK | SOCK_CLOEXEC);
      return fd >= 0 && fd;
    });
  }

  send(flags: number, data = new Uint8Array(), acknowledged = this.expected, options: number[] = []): void {
    const headerBytes = 20 + options.length;
    const segment = new Uint8Array(headerBytes + data.length);
    const view = new DataView(segment.buffer);
    view.setUint16(0, GUEST_PORT);
    view.setUint16(2, this.#port);
    view.setInt32(4, this.sequence);
    view.setInt32(8, acknowledged);
    view.setUint16(12, headerBytes / 4 << 12 | flags);
    view.setUint16(14, WINDOW);
    segment.set(options, 20);
    segment.set(data, headerBytes);
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

Deno.test("the guest's end is acknowledged though the host sends on, which reaches the guest until its own end", () => {
  using connected = new Connected();
  const { server } = connected;
  connected.send(FIN | ACK);
  connected.sequence++;
  const acknowledges = ({ payload }: Packet) =>
    new DataView(payload.buffer, payload.byteOffset).getInt32(8) === connected.sequence;
  equal(flagsOf(connected.until(acknowledges)[0]!) & FIN, 0);
  equal(connected.readAll(), { count: 0, end: 0 });
  equal(sendTo(server, new Uint8Array(3), null), 3);
  connected.until(({ payload }) => payload.length === 23);
  shutdownSocket(server, SHUT_WR);
  equal(acknowledges(connected.until((packet) => flagsOf(packet) & FIN)[0]!), true);
});

/** Bytes that the guest gets, each with "!" behind it that is urgent, until `text` is complete. */
function readMarked({ rig, expected }: Connected, text: string): void {
  const bytes: string[] = [];
  const urgent = new Set<number>();
  const read = () => bytes.map((byte, at) => urgent.has(at) ? `${byte}!` : byte).join("");
  rig.until(() => {
    for (const { payload } of rig.received.splice(0)) {
      const view = new DataView(payload.buffer, payload.byteOffset);
      const at = (view.getInt32(4) - expected) | 0;
      payload.slice(20).forEach((byte, index) => bytes[at + index] = String.fromCharCode(byte));
      // the byte before the pointer, as all systems have it (RFC 6093)
      if (flagsOf({ payload } as Packet) & URG) urgent.add(at + view.getUint16(18) - 1);
    }
    return read().length >= text.length;
  });
  equal(read(), text);
}

function sendUrgent(fd: number, text: string): void {
  const memory = new Memory(text.length);
  memory.bytes.set(new TextEncoder().encode(text));
  equal(sendFrom(fd, memory.pointer, text.length, MSG_OOB), text.length);
}

for (const mayPeek of [true, false]) {
  const where = mayPeek ? "the socket keeps the data" : "the stack keeps the data";

  Deno.test(`the host's urgent byte is urgent for the guest, in its place: ${where}`, () => {
    using connected = new Connected({ mayPeek });
    const { server } = connected;
    const say = (text: string) => equal(sendTo(server, new TextEncoder().encode(text), null), text.length);
    // the first byte of all
    sendUrgent(server, "a");
    readMarked(connected, "a!");
    // amid others, and behind what the guest has not acknowledged
    connected.expected = (connected.expected + 1) | 0;
    say("bc");
    readMarked(connected, "bc");
    sendUrgent(server, "de");
    say("fg");
    connected.expected = (connected.expected + 2) | 0;
    readMarked(connected, "de!fg");
    // alone behind them
    connected.expected = (connected.expected + 4) | 0;
    sendUrgent(server, "h");
    readMarked(connected, "h!");
    say("i");
    connected.expected = (connected.expected + 1) | 0;
    readMarked(connected, "i");
    equal(connected.rig.faults, []);
  });
}

Deno.test("an urgent byte that was lost comes again as one", () => {
  using connected = new Connected();
  sendUrgent(connected.server, "ab");
  readMarked(connected, "ab!");
  // nothing is acknowledged: it comes again when the time is over
  readMarked(connected, "ab!");
});

Deno.test("what the host does not take at once is sent when it does", () => {
  using connected = new Connected();
  const piece = new Uint8Array(30_000);
  let [sent, window] = [0, 0xffff];
  // until the kernel's buffers are full, and much of the stack's queue
  while (window > 60_000) {
    connected.send(ACK, piece);
    connected.sequence += piece.length;
    sent += piece.length;
    const [answer] = connected.until((packet) =>
      new DataView(packet.payload.buffer).getUint32(8) === connected.sequence
    );
    window = windowOf(answer!);
  }
  connected.send(ACK | FIN);
  connected.sequence++;
  equal(connected.readAll(), { count: sent, end: 0 });
});

for (const mayPeek of [true, false]) {
  const name = mayPeek ? "read several segments at a time" : "kept here";
  Deno.test(`the host's bytes come whole and in order where there are many, ${name}`, () => {
    const MSS = 400, EACH = 64 * MSS, COUNT = 10 * EACH + 7;
    using connected = new Connected({ mayPeek }, [2, 4, MSS >> 8, MSS & 255]);
    const sent = new Memory(COUNT);
    for (let at = 0; at < COUNT; at++) sent.bytes[at] = at % 251;
    let given = 0;
    const got = new Uint8Array(COUNT);
    const flags: number[] = [];
    for (let at = 0; at < COUNT;) {
      const packets = connected.rig.until(() => {
        const pointer = Deno.UnsafePointer.offset(sent.pointer!, given);
        given += Math.max(0, sendFrom(connected.server, pointer, COUNT - given, MSG_DONTWAIT));
        return connected.rig.received.length > 0 && connected.rig.received.splice(0);
      });
      for (const packet of packets) {
        const data = packet.payload.subarray(20);
        if (data.length === 0) continue;
        equal(new DataView(packet.payload.buffer).getInt32(4), connected.expected + at | 0, `at ${at}`);
        flags.push(flagsOf(packet) & PSH);
        got.set(data, at);
        at += data.length;
      }
      // all at once, so that there is room for more than one again
      connected.send(ACK, undefined, connected.expected + at | 0);
    }
    equal(got, sent.bytes);
    equal(flags.at(-1), PSH);
    equal(
      flags.includes(0),
      mayPeek,
      "those that others follow at once are not to be acknowledged one by one",
    );
  });
}

/** Two guests of one stack: what one of them takes is not what the other lacks. */

import { deepStrictEqual as equal } from "node:assert/strict";
import { AF_INET, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "../../../ffi/constants/socket.ts";
import { bindTo, closeSocket, getsockname, openSocket, SocketAddress } from "../../../ffi/inet.ts";
import { listen } from "../../../ffi/socket.ts";
import { mustParse } from "./addresses.ts";
import { dnsQuery } from "./dns_rig.ts";
import { MAX_QUESTIONS } from "./limits.ts";
import { rcode } from "./dns_message.ts";
import {
  GATEWAY,
  GuestRig,
  HostUdp,
  ipFrame,
  NAMESERVER,
  type Packet,
  udpFrame,
  withChecksum,
} from "./guest_rig.ts";
import { ACK, RST, SYN } from "./tcp_segment.ts";

const TCP = 6, UDP = 17;
const GREEDY = "10.0.2.100", OTHER = "10.0.2.101";
const CONNECTIONS = 4;

/** A stack of two guests, and a listener of the host that they reach by the gateway. */
class Rig extends GuestRig {
  readonly listener = openSocket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  readonly port: number;

  constructor() {
    super({ guests: [{ address: "10.0.2.0", prefix: 24 }], allowHostLoopback: true }, {
      connectionsMax: CONNECTIONS,
    });
    equal(bindTo(this.listener, new SocketAddress().set(mustParse("127.0.0.1"), 0)), 0);
    listen(this.listener, 64);
    this.port = getsockname(this.listener).port;
  }

  tcp(from: string, port: number, flags: number, sequence: number, acknowledged = 0): void {
    const segment = new Uint8Array(20);
    const view = new DataView(segment.buffer);
    view.setUint16(0, port);
    view.setUint16(2, this.port);
    view.setInt32(4, sequence);
    view.setInt32(8, acknowledged);
    view.setUint16(12, 0x5000 | flags);
    view.setUint16(14, 60_000);
    const payload = withChecksum(from, GATEWAY, TCP, segment, 16);
    this.send(ipFrame({ from, to: GATEWAY, protocol: TCP }, payload));
  }

  /** The first packet to that guest's port, which is taken out. */
  answerTo(guest: string, port: number, isIt: (packet: Packet) => boolean = () => true): Packet {
    return this.until(() => {
      const index = this.received.findIndex((packet) => {
        const view = new DataView(packet.payload.buffer, packet.payload.byteOffset);
        return packet.destination === guest && view.getUint16(2) === port && isIt(packet);
      });
      return index !== -1 && this.received.splice(index, 1)[0]!;
    }, `an answer to ${guest} port ${port}`);
  }

  /** Whether the guest has the connection now. */
  connect(guest: string, port: number): boolean {
    this.tcp(guest, port, SYN, 1000);
    const { payload } = this.answerTo(guest, port);
    if (payload[13]! & RST) return false;
    const sequence = new DataView(payload.buffer, payload.byteOffset).getInt32(4);
    this.tcp(guest, port, ACK, 1001, (sequence + 1) | 0);
    return true;
  }

  override [Symbol.dispose](): void {
    closeSocket(this.listener);
    super[Symbol.dispose]();
  }
}

Deno.test("of connections at their limit the one who has most gives one up, its oldest", () => {
  using rig = new Rig();
  for (let port = 1; port <= CONNECTIONS; port++) equal(rig.connect(GREEDY, port), true);
  equal(rig.connect(GREEDY, 99), false, "it has all there are");
  equal(rig.connect(OTHER, 1), true);
  equal(rig.answerTo(GREEDY, 1, ({ payload }) => (payload[13]! & RST) !== 0).payload[13]! & RST, RST);
  equal(rig.connect(OTHER, 2), true);
  // two each
  equal([rig.connect(GREEDY, 98), rig.connect(OTHER, 3)], [false, false]);
});

Deno.test("of questions at their limit the one who asks most gives one up, not who asked first", () => {
  using silent = new HostUdp("127.0.0.1");
  const resolvConf = Deno.makeTempFileSync();
  Deno.writeTextFileSync(resolvConf, "options timeout:30\n");
  const dns = { resolvConf, servers: ["127.0.0.1"] };
  using rig = new GuestRig({ guests: [{ address: "10.0.2.0", prefix: 24 }], dns }, { dnsPort: silent.port });
  const ask = (from: string, port: number) =>
    rig.send(udpFrame(port, [NAMESERVER, 53], dnsQuery(`name${port}.example`), { from }));
  ask(OTHER, 1);
  for (let port = 1; port <= MAX_QUESTIONS; port++) ask(GREEDY, port);
  const lost = rig.received.filter(({ protocol }) => protocol === UDP);
  equal(lost.map(({ destination, payload }) => [destination, rcode(payload.subarray(8))]), [[GREEDY, 2]]);
  Deno.removeSync(resolvConf);
});

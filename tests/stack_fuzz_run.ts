/**
 * Mutated frames of a hostile guest, mutated answers of hostile servers and clients, through a whole stack, in a network
 * namespace that has nothing but loopback. Prints what happened as JSON. Run by stack_fuzz_test.ts:
 *
 *     unshare --user --map-root-user --net deno run -A --v8-flags=--expose-gc tests/stack_fuzz_run.ts SEED FRAMES [control]
 *
 * The same seed gives the same frames. Every packet's memory is filled with a pattern behind the packet, and the pattern
 * is looked for in all that leaves the stack: reading past a packet's end would bring it along.
 */

import {
  AF_INET,
  AF_UNIX,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
} from "../ffi/constants/socket.ts";
import { receiveFrom } from "../ffi/datagram.ts";
import { acceptFrom, bindTo, closeSocket, getsockname, openSocket, SocketAddress } from "../ffi/inet.ts";
import { listen, socketpair } from "../ffi/socket.ts";
import { mustParse } from "../runtime/network/stack/addresses.ts";
import type { StackContext } from "../runtime/network/stack/context.ts";
import { Datagrams } from "../runtime/network/stack/datagrams.ts";
import { Destinations } from "../runtime/network/stack/destinations.ts";
import { dnsAnswer, dnsQuery } from "../runtime/network/stack/dns_rig.ts";
import {
  type Bytes,
  GATEWAY,
  GATEWAY6,
  GUEST,
  GUEST6,
  HostUdp,
  icmpFrame,
  ipFrame,
  NAMESERVER,
  NAMESERVER6,
  PLAN,
  udpFrame,
  withChecksum,
} from "../runtime/network/stack/guest_rig.ts";
import { Host } from "../runtime/network/stack/host.ts";
import { Link } from "../runtime/network/stack/link.ts";
import { allowPing, setUpLoopback } from "./own_network.ts";
import { sum, VNET_BYTES } from "../runtime/network/stack/packet.ts";
import { SLOT_BYTES } from "../runtime/network/stack/slots.ts";
import { Tcp } from "../runtime/network/stack/tcp.ts";

export interface FuzzReport {
  frames: number;
  seconds: number;
  faults: string[];
  /** Where the pattern was found. */
  leaks: string[];
  /** The most that there were at once. */
  descriptors: number;
  /** Growth over the second half, when all bounds are reached. */
  grownBytes: number;
  packetSlots: number;
  /** What got through, so that a fuzz of nothing is seen: packets to the guest by protocol, data to the host. */
  toGuest: Record<string, number>;
  datagrams: number;
  connections: number;
  questions: number;
}

/** Guests' frames between two looks at the host's side. */
const BATCH = 32;
const SERVER = "192.0.2.1";
const PATTERN = Uint8Array.from([0xa7, 0x3c, 0xd1, 0x5e, 0x99, 0x0b, 0xe6, 0x42]);

/** xorshift32 */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed | 0 || 1;
  }
  below(limit: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) % limit;
  }
  one<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
  bytes(length: number): Bytes {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}

const INTERESTING = [
  0,
  1,
  2,
  3,
  4,
  5,
  6,
  7,
  8,
  15,
  16,
  17,
  20,
  40,
  44,
  0x45,
  0x4f,
  0x60,
  58,
  0x7f,
  0x80,
  0xfe,
  0xff,
];

function tcpFrame(
  to: string,
  port: number,
  fields: Partial<Record<"from" | "flags" | "window" | "seq" | "ack", number>>,
  rest: ArrayLike<number> = [],
  offset = 5,
): Bytes {
  const segment = new Uint8Array(20 + rest.length);
  const view = new DataView(segment.buffer);
  view.setUint16(0, fields.from ?? 6000);
  view.setUint16(2, port);
  view.setUint32(4, fields.seq ?? 1000);
  view.setUint32(8, fields.ack ?? 0);
  view.setUint16(12, offset << 12 | (fields.flags ?? 2));
  view.setUint16(14, fields.window ?? 65535);
  segment.set(rest, 20);
  const from = to.includes(":") ? GUEST6 : GUEST;
  return ipFrame({ to, protocol: 6 }, withChecksum(from, to, 6, segment, 16));
}

/** Well-formed frames of all kinds, from which the others are made. */
export function corpus(random: Random, udpPort: number, tcpPort: number): Bytes[] {
  const synOptions = [2, 4, 5, 0xb4, 4, 2, 1, 3, 3, 7, 0, 0];
  const solicited = (target: string) => [0, 0, 0, 0, ...mustParse(target), 1, 1, 2, 0, 0, 0, 0, 1];
  const all: Bytes[] = [];
  for (
    const [gateway, nameserver, server] of [[GATEWAY, NAMESERVER, SERVER], [
      GATEWAY6,
      NAMESERVER6,
      GATEWAY6,
    ]] as const
  ) {
    for (const to of [gateway, server]) {
      for (const length of [0, 1, 100, 1400]) {
        all.push(udpFrame(4000 + length, [to, udpPort], random.bytes(length)));
      }
      all.push(udpFrame(53, [to, udpPort], [1]), udpFrame(4001, [to, 9], [1]));
      all.push(tcpFrame(to, tcpPort, {}, synOptions, 8), tcpFrame(to, 9, { from: 6001 }));
      for (const flags of [1, 4, 16, 17, 24, 48, 0, 63]) {
        all.push(tcpFrame(to, tcpPort, { flags, ack: 1 }, random.bytes(50)));
      }
    }
    all.push(udpFrame(5000, [nameserver, 53], dnsQuery("example.org", { edns: 1232 })));
    all.push(udpFrame(5001, [nameserver, 53], dnsQuery("1.2.0.192.in-addr.arpa", { type: 12 })));
    all.push(
      udpFrame(5002, [nameserver, 53], dnsQuery("db")),
      tcpFrame(nameserver, 53, { from: 6002 }, synOptions, 8),
    );
    const isIpv4 = !gateway.includes(":");
    all.push(icmpFrame(gateway, isIpv4 ? [8, 0] : [128, 0], random.bytes(60)));
    all.push(icmpFrame(server, isIpv4 ? [8, 0] : [128, 0], random.bytes(60)));
    all.push(icmpFrame(gateway, isIpv4 ? [3, 3] : [1, 4], random.bytes(60)));
    for (
      const [offset, more] of [[0, true], [8, true], [16, true], [24, false], [65528, false], [
        0,
        false,
      ]] as const
    ) {
      for (const id of [1, 2, 3]) {
        all.push(ipFrame({ to: gateway, protocol: 17, fragment: { id, offset, more } }, random.bytes(8)));
      }
    }
    const gso = udpFrame(4002, [gateway, udpPort], random.bytes(3000));
    gso.set([1, 5, 0, 0, 0xe8, 3]);
    all.push(gso);
  }
  const link = { from: "fe80::5", hopLimit: 255 };
  all.push(icmpFrame("ff02::2", [133, 0], [0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1], link));
  all.push(
    icmpFrame("ff02::1", [134, 0], [64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 3, 4, ...random.bytes(30)], link),
  );
  all.push(icmpFrame("ff02::1:ff00:2", [135, 0], solicited(GATEWAY6), link));
  all.push(icmpFrame("ff02::1", [136, 0], solicited(GATEWAY6), link));
  all.push(icmpFrame(GUEST6, [137, 0], [...solicited(GATEWAY6), ...random.bytes(16)], link));
  all.push(icmpFrame("ff02::16", [143, 0], [0, 0, 0, 1, 4, 0, 0, 0, ...mustParse("ff02::fb")], link));
  return all;
}

/** Makes a frame hostile in a few places; most keep a header that leads them on. */
export function mutate(random: Random, original: Bytes, target: Bytes): number {
  let length = original.length;
  target.set(original);
  if (random.below(2)) {
    // another source port (or type), so that it is no repetition
    const transport = VNET_BYTES + (target[VNET_BYTES]! >> 4 === 6 ? 40 : 20);
    target[transport] = random.below(64) + 8;
    target[transport + 1] = random.below(256);
    target[0] = 2;
  }
  for (let count = random.below(4); count > 0; count--) {
    const at = random.below(2) ? random.below(Math.min(length, 80)) : random.below(length);
    switch (random.below(8)) {
      case 0:
        target[at] = random.below(256);
        break;
      case 1:
        target[at]! ^= 1 << random.below(8);
        break;
      case 2:
      case 3:
        target[at] = random.one(INTERESTING);
        break;
      case 4: // cut
        length = Math.max(1, random.below(length + 1));
        break;
      case 5: { // grow, up to the largest
        const more = random.below(8) ? random.below(200) : random.below(SLOT_BYTES - length);
        for (let index = 0; index < Math.min(more, 64); index++) target[length + index] = random.below(256);
        target.fill(0x11, length + 64, length + more);
        length = Math.min(SLOT_BYTES, length + more);
        break;
      }
      case 6: // vnet header
        target[random.below(VNET_BYTES)] = random.one(INTERESTING);
        break;
      default: // a length that may or may not be true
        target[VNET_BYTES + (target[VNET_BYTES]! >> 4 === 6 ? 4 : 2)] = random.below(256);
    }
  }
  if (random.below(8)) repair(random, target, length);
  return length;
}

/** Makes the checksums right again, or has them vouched for, so that what is behind them is reached. */
function repair(random: Random, frame: Bytes, length: number): void {
  frame[0] = random.below(8) ? 2 : frame[0]!;
  const ihl = (frame[VNET_BYTES]! & 15) * 4;
  if (frame[VNET_BYTES]! >> 4 !== 4 || ihl < 20 || VNET_BYTES + ihl > length) return;
  if (random.below(2)) {
    const total = length - VNET_BYTES;
    frame.set([total >> 8 & 255, total & 255], VNET_BYTES + 2);
  }
  frame.set([0, 0], VNET_BYTES + 10);
  const checksum = ~sum(frame, VNET_BYTES, VNET_BYTES + ihl, 0) & 0xffff;
  frame.set([checksum >> 8, checksum & 255], VNET_BYTES + 10);
}

/** The first word of the pattern twice in a row is no chance. */
const FIRST = new DataView(PATTERN.buffer).getFloat64(0);
function hasPattern(bytes: Bytes, length: number): boolean {
  for (
    let at = bytes.indexOf(PATTERN[0]!);
    at !== -1 && at + 16 <= length;
    at = bytes.indexOf(PATTERN[0]!, at + 1)
  ) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at);
    if (view.getFloat64(0) === FIRST && view.getFloat64(8) === FIRST) return true;
  }
  return false;
}

/** A stack that believes the lengths it is told, for once: the pattern must then be found. */
function breakLengths(link: Link): void {
  const udp = link.handlers[17]!;
  link.handlers[17] = {
    packet(packet) {
      if (packet.transport + 8 > packet.end || packet.end + 64 > SLOT_BYTES) return;
      packet.end += 64;
      packet.view.setUint16(packet.transport + 4, packet.end - packet.transport);
      packet.isChecksumPartial = true;
      udp.packet(packet);
    },
  };
}

function fuzz(seed: number, frames: number, isControl: boolean): FuzzReport {
  setUpLoopback(SERVER);
  allowPing();
  const random = new Random(seed);
  const faults: string[] = [], leaks: string[] = [];
  const fault = (error: unknown) => {
    if (faults.length < 10) faults.push(String((error as Error)?.stack ?? error));
  };
  using udp = new HostUdp("0.0.0.0");
  using udp6 = new HostUdp("::1", udp.port);
  using nameserver = new HostUdp("127.0.0.1");
  using client = new HostUdp("127.0.0.1");
  const published = new HostUdp("0.0.0.0");
  const listener = openSocket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  bindTo(listener, new SocketAddress().set([0, 0, 0, 0], 0));
  listen(listener, 64);
  const tcpPort = getsockname(listener).port;

  const [tun, guest] = socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC);
  const resolvConf = Deno.makeTempFileSync();
  const plan = { ...PLAN, allowHostLoopback: true, dns: { resolvConf, servers: ["127.0.0.1"] } };
  const host = new Host(fault), link = new Link(tun, plan);
  const context: StackContext = {
    plan,
    link,
    host,
    destinations: new Destinations(plan),
    afterBatch: [],
    ended: 0,
  };
  const tcp = new Tcp(context, { connections: 512, handedOver: 0, mayPeek: (seed & 1) === 0 });
  const names = {
    addresses: (name: string) => name === "db" ? ["10.0.2.77"] : undefined,
    names: () => undefined,
  };
  const datagrams = new Datagrams(context, { names, dnsPort: nameserver.port });
  datagrams.publish(
    { protocol: "udp", hostAddress: "", hostPort: published.port, containerPort: 53 },
    published.fd,
    { ipv4: GUEST, ipv6: GUEST6 },
  );
  host.afterRound = () => {
    for (const hook of context.afterBatch) hook();
  };

  if (isControl) breakLengths(link);
  const seeds = corpus(random, udp.port, tcpPort);
  const poison = new Uint8Array(SLOT_BYTES);
  for (let at = 0; at < SLOT_BYTES; at += 8) poison.set(PATTERN, at);
  const frame = new Uint8Array(2 * SLOT_BYTES),
    buffer = new Uint8Array(SLOT_BYTES),
    from = new SocketAddress();
  const report = { toGuest: {} as Record<string, number>, datagrams: 0, connections: 0, questions: 0 };
  const connections: number[] = [];
  let descriptors = 0, halfway = 0;
  const look = (where: string, length: number) => {
    if (leaks.length < 10 && hasPattern(buffer.subarray(0, length), length)) leaks.push(where);
  };
  /** Connections that the guest opened and the stack has answered: segments that fit into them get further. */
  const learned: Bytes[] = [];

  const lookAtGuest = () => {
    for (
      let length = receiveFrom(guest, buffer, from);
      length > 0;
      length = receiveFrom(guest, buffer, from)
    ) {
      const isIpv4 = buffer[VNET_BYTES]! >> 4 === 4;
      const protocol = buffer[VNET_BYTES + (isIpv4 ? 9 : 6)]!;
      report.toGuest[protocol] = (report.toGuest[protocol] ?? 0) + 1;
      look(`to the guest, protocol ${protocol}`, length);
      const tcpAt = VNET_BYTES + 20;
      if (!isIpv4 || protocol !== 6 || (buffer[tcpAt + 13]! & 0x12) !== 0x12) continue;
      const view = new DataView(buffer.buffer, tcpAt);
      const to = [...buffer.subarray(VNET_BYTES + 12, VNET_BYTES + 16)].join(".");
      const fields = { from: view.getUint16(2), seq: view.getUint32(8), ack: (view.getUint32(4) + 1) >>> 0 };
      const isDns = to === NAMESERVER;
      const data = isDns ? [0, 29, ...dnsQuery("example.org")] : random.bytes(random.below(400));
      for (const flags of [16, 24, 17, 24]) {
        learned[random.below(256)] = tcpFrame(to, view.getUint16(0), { ...fields, flags }, data);
      }
    }
  };
  const lookAtHost = () => {
    for (const server of [udp, udp6]) {
      for (let count = 0; count < 64; count++) {
        const length = receiveFrom(server.fd, buffer, server.from);
        if (length < 0) break;
        report.datagrams++;
        look("to the host by UDP", length);
        if (random.below(4) === 0) server.send(random.bytes(random.below(2000)));
      }
    }
    for (let query = nameserver.receive(); query; query = nameserver.receive()) {
      report.questions++;
      if (hasPattern(query, query.length)) leaks.push("to a nameserver");
      // hostile answers: right, cut, flipped, much too long, of other questions
      if (query.length < 17 || random.below(8) === 0) continue;
      let answer: Bytes;
      try {
        answer = dnsAnswer(
          query,
          random.one([0, 1, 3, 40, 3000]),
          random.one([0x8180, 0x8380, 0x8182, 0x8185, 0]),
        );
      } catch {
        continue;
      }
      for (let count = random.below(3); count > 0; count--) {
        if (random.below(3) === 0) answer = answer.slice(0, random.below(answer.length));
        else answer[random.below(answer.length)] = random.below(256);
      }
      nameserver.send(answer);
    }
    for (let fd = acceptFrom(listener, from, SOCK_NONBLOCK | SOCK_CLOEXEC); fd >= 0;) {
      report.connections++;
      connections.push(fd);
      fd = acceptFrom(listener, from, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    for (const fd of connections) {
      const length = receiveFrom(fd, buffer, from);
      if (length > 0) look("to the host by TCP", length);
    }
    while (connections.length > 64) closeSocket(connections.shift()!);
    client.send(
      random.bytes(random.below(2000)),
      new SocketAddress().set(mustParse("127.0.0.1"), published.port),
    );
    for (let count = 0; count < 8 && client.receive(); count++);
  };

  const begin = performance.now();
  for (let count = 0; count < frames; count++) {
    const original = learned.length > 0 && random.below(4) === 0
      ? random.one(learned) ?? seeds[0]!
      : random.one(seeds);
    const length = Math.min(SLOT_BYTES, mutate(random, original, frame));
    // the slot that the link takes next is the one that was given back last
    const slot = link.pool.take();
    if (count % 64 === 0) slot.bytes.set(poison);
    else slot.bytes.set(poison.subarray(0, 4096), Math.min(length + 7 & ~7, SLOT_BYTES - 4096));
    link.pool.give(slot);
    try {
      link.inject(frame.subarray(0, length));
    } catch (error) {
      fault(error);
    }
    if (count % BATCH === BATCH - 1) {
      link.out.bytes.set(poison);
      host.work();
      lookAtGuest();
    }
    if (count % (BATCH * 8) === 0) lookAtHost();
    if (count % 50_000 === 0) {
      descriptors = Math.max(descriptors, [...Deno.readDirSync("/proc/self/fd")].length);
    }
    if (count === Math.floor(frames / 2)) halfway = memory();
  }
  const seconds = (performance.now() - begin) / 1000;
  const grownBytes = memory() - halfway;
  const packetSlots = link.pool.count;
  tcp.dispose();
  datagrams.dispose();
  host.dispose();
  Deno.removeSync(resolvConf);
  return { frames, seconds, faults, leaks, descriptors, grownBytes, packetSlots, ...report };
}

function memory(): number {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

if (import.meta.main) {
  const [seed, frames, control] = Deno.args;
  console.log(JSON.stringify(fuzz(Number(seed), Number(frames), control === "control")));
}

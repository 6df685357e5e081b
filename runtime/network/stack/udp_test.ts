import { deepStrictEqual as equal } from "node:assert/strict";
import { SocketAddress } from "../../../ffi/inet.ts";
import { formatAddress, mustParse } from "./addresses.ts";
import { clock } from "./host.ts";
import { EXPIRY_MS } from "./udp.ts";
import {
  GATEWAY,
  GATEWAY6,
  GUEST,
  GUEST6,
  GuestRig,
  HostUdp,
  ipFrame,
  type Packet,
  udpFrame,
  udpPayload,
} from "./guest_rig.ts";

const UDP = 17, ICMP = 1, ICMPV6 = 58;
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const data = (words: string) => new TextEncoder().encode(words);
const ports = ({ payload }: Packet) => [payload[0]! << 8 | payload[1]!, payload[2]! << 8 | payload[3]!];

for (
  const [version, gateway, guest, loopback] of [
    ["IPv4", GATEWAY, GUEST, "127.0.0.1"],
    ["IPv6", GATEWAY6, GUEST6, "::1"],
  ] as const
) {
  Deno.test(`a datagram to the host's loopback goes and its answer comes from the gateway, ${version}`, () => {
    using rig = new GuestRig({ allowHostLoopback: true });
    using server = new HostUdp(loopback);
    rig.send(udpFrame(4000, [gateway, server.port], data("question")));
    equal(text(rig.until(() => server.receive())), "question");
    equal(formatAddress(server.from.address), loopback);
    server.send(data("answer"));
    const answer = rig.next(UDP);
    equal([answer.source, answer.destination, ports(answer)], [gateway, guest, [server.port, 4000]]);
    equal([text(answer.payload.subarray(8)), answer.isRight], ["answer", true]);
    // the largest and the smallest
    rig.send(udpFrame(4000, [gateway, server.port], new Uint8Array(60_000).fill(7)));
    equal(rig.until(() => server.receive()).length, 60_000);
    server.send([]);
    equal(rig.next(UDP).payload.length, 8);
  });

  Deno.test(`without leave the host's loopback is no place: port unreachable, ${version}`, () => {
    using rig = new GuestRig();
    using server = new HostUdp(loopback);
    rig.send(udpFrame(4000, [gateway, server.port], data("question")));
    const error = rig.next(version === "IPv4" ? ICMP : ICMPV6);
    equal([...error.payload.subarray(0, 2)], version === "IPv4" ? [3, 3] : [1, 4]);
    equal([error.source, error.destination, error.isRight], [gateway, guest, true]);
    equal(server.receive(), undefined);
  });

  Deno.test(`where nobody listens the guest is told, with its own packet quoted, ${version}`, () => {
    using rig = new GuestRig({ allowHostLoopback: true });
    using server = new HostUdp(loopback);
    const { port } = (() => {
      using closed = new HostUdp(loopback);
      return closed;
    })();
    rig.send(udpFrame(4000, [gateway, port], data("question")));
    const error = rig.next(version === "IPv4" ? ICMP : ICMPV6);
    equal([...error.payload.subarray(0, 2)], version === "IPv4" ? [3, 3] : [1, 4]);
    equal([error.source, error.destination, error.isRight], [gateway, guest, true]);
    const quoted = error.payload.subarray(8);
    const header = version === "IPv4" ? 20 : 40;
    equal(formatAddress(quoted.slice(header === 20 ? 12 : 8, header === 20 ? 16 : 24)), guest);
    equal(formatAddress(quoted.slice(header === 20 ? 16 : 24, header)), gateway);
    equal([quoted[header]! << 8 | quoted[header + 1]!, quoted[header + 2]! << 8 | quoted[header + 3]!], [
      4000,
      port,
    ]);
    // the error does not cost the next datagram
    rig.send(udpFrame(4000, [gateway, server.port], data("again")));
    equal(text(rig.until(() => server.receive())), "again");
  });
}

Deno.test("only those whom the guest has sent to can answer", () => {
  using rig = new GuestRig({ allowHostLoopback: true });
  using server = new HostUdp("127.0.0.1");
  using stranger = new HostUdp("127.0.0.1");
  rig.send(udpFrame(4000, [GATEWAY, server.port], data("hello")));
  rig.until(() => server.receive());
  stranger.send(data("unasked"), server.from);
  server.send(data("asked"));
  equal(text(rig.next(UDP).payload.subarray(8)), "asked");
  equal(rig.received, []);
  // control: once asked, it may, and both see the same port
  rig.send(udpFrame(4000, [GATEWAY, stranger.port], data("hello")));
  rig.until(() => stranger.receive());
  equal(stranger.from.port, server.from.port);
  stranger.send(data("now asked"));
  equal(text(rig.next(UDP).payload.subarray(8)), "now asked");
});

Deno.test("loopback, groups and the guests' own networks are never sent to", () => {
  using rig = new GuestRig({ allowHostLoopback: true });
  using server = new HostUdp("127.0.0.1");
  using server6 = new HostUdp("::1");
  for (const to of ["127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.251", "10.0.2.255", "10.0.2.77"]) {
    rig.send(udpFrame(4000, [to, server.port], data("lost")));
  }
  for (const to of ["::1", "::", "ff02::fb", "fe80::1", "fd00::77", "::ffff:127.0.0.1"]) {
    rig.send(udpFrame(4000, [to, server6.port], data("lost")));
  }
  // control: the socket hears what is meant for it
  rig.send(udpFrame(4000, [GATEWAY, server.port], data("heard")));
  equal(text(rig.until(() => server.receive())), "heard");
  rig.send(udpFrame(4000, [GATEWAY6, server6.port], data("heard")));
  equal(text(rig.until(() => server6.receive())), "heard");
  // who would be on the guest's link is told as unreachable; the others are silence
  const kinds = [ICMP, ICMP, ICMPV6, ICMPV6].map((
    protocol,
  ) => [...rig.next(protocol).payload.subarray(0, 2)]);
  equal(kinds, [[3, 1], [3, 1], [1, 3], [1, 3]]);
  equal(rig.received, []);
});

Deno.test("what comes from other addresses than the guest's is dropped", () => {
  using rig = new GuestRig({ allowHostLoopback: true });
  using server = new HostUdp("127.0.0.1");
  for (const from of ["10.0.2.101", "127.0.0.1", GATEWAY, "192.0.2.1"]) {
    rig.send(udpFrame(4000, [GATEWAY, server.port], data("spoofed"), { from }));
  }
  rig.send(udpFrame(4000, [GATEWAY, server.port], data("own")));
  equal(text(rig.until(() => server.receive())), "own");
  equal(rig.received, []);
});

Deno.test("lengths, checksums and ports that are wrong drop a datagram", () => {
  using rig = new GuestRig({ allowHostLoopback: true });
  using server = new HostUdp("127.0.0.1");
  using server6 = new HostUdp("::1");
  const good = () => udpPayload([GUEST, 4000], [GATEWAY, server.port], data("lost"));
  const change = (at: number, ...bytes: number[]) => {
    const payload = good();
    payload.set(bytes, at);
    rig.send(ipFrame({ to: GATEWAY, protocol: UDP }, payload));
  };
  change(4, 0, 7);
  change(4, 0, 13);
  change(4, 0xff, 0xff);
  change(6, 0x12, 0x34);
  rig.send(udpFrame(0, [GATEWAY, server.port], data("lost")));
  rig.send(udpFrame(4000, [GATEWAY, 0], data("lost")));
  rig.send(ipFrame({ to: GATEWAY, protocol: UDP }, good().slice(0, 7)));
  const unsummed6 = udpPayload([GUEST6, 4000], [GATEWAY6, server6.port], data("lost"));
  unsummed6.set([0, 0], 6);
  rig.send(ipFrame({ to: GATEWAY6, protocol: UDP }, unsummed6));
  // IPv4 may do without a checksum, and what is behind the datagram does not count
  const unsummed = new Uint8Array([...good(), 1, 2, 3]);
  unsummed.set([0, 0], 6);
  unsummed.set(data("kept"), 8);
  rig.send(ipFrame({ to: GATEWAY, protocol: UDP }, unsummed));
  equal(text(rig.until(() => server.receive())), "kept");
  equal(server6.receive(), undefined);
});

Deno.test("a segment offload of the guest becomes datagrams of its size", () => {
  using rig = new GuestRig({ allowHostLoopback: true });
  using server = new HostUdp("127.0.0.1");
  const frame = udpFrame(4000, [GATEWAY, server.port], data("aaaabbbbcc"));
  new DataView(frame.buffer).setUint8(1, 5);
  new DataView(frame.buffer).setUint16(4, 4, true);
  rig.send(frame);
  equal([1, 2, 3].map(() => text(rig.until(() => server.receive()))), ["aaaa", "bbbb", "cc"]);
  // a hostile size makes no storm
  const storm = udpFrame(4000, [GATEWAY, server.port], new Uint8Array(60_000));
  new DataView(storm.buffer).setUint8(1, 5);
  new DataView(storm.buffer).setUint16(4, 1, true);
  rig.send(storm);
  rig.send(udpFrame(4000, [GATEWAY, server.port], data("next")));
  equal(text(rig.until(() => server.receive())), "next");
});

Deno.test("a datagram larger than the guest's MTU comes in fragments, whole and right", () => {
  using rig = new GuestRig({ allowHostLoopback: true, mtu: 1500 });
  for (const [gateway, loopback, overhead] of [[GATEWAY, "127.0.0.1", 20], [GATEWAY6, "::1", 48]] as const) {
    using server = new HostUdp(loopback);
    rig.send(udpFrame(4000, [gateway, server.port], data("more")));
    rig.until(() => server.receive());
    // the second is the largest that there is
    for (const length of [5000, gateway === GATEWAY ? 65_507 : 65_527]) {
      const sent = new Uint8Array(length).map((_, index) => index * 31 >> 3);
      server.send(sent);
      const whole = new Uint8Array(8 + length);
      for (let at = 0; at < whole.length;) {
        const part = rig.next(UDP);
        equal([part.isFragment, part.fragmentOffset], [true, at]);
        equal(part.payload.length + overhead <= 1500, true);
        whole.set(part.payload, at);
        at += part.payload.length;
        equal(part.moreFragments, at < whole.length);
      }
      equal(whole.subarray(8), sent);
      const summed = udpPayload([gateway, server.port], [gateway === GATEWAY ? GUEST : GUEST6, 4000], sent);
      equal(whole, summed);
    }
  }
});

Deno.test("a thousand ports at once keep a bounded number of sockets, the oldest gives way", () => {
  using rig = new GuestRig({ allowHostLoopback: true });
  using server = new HostUdp("127.0.0.1");
  const open = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const before = open();
  for (let port = 1000; port < 3000; port++) {
    rig.send(udpFrame(port, [GATEWAY, server.port], data("x")));
    server.receive();
  }
  equal(open() - before <= 1024, true, `${open() - before} descriptors`);
  // the last ones still work
  rig.send(udpFrame(2999, [GATEWAY, server.port], data("last")));
  rig.until(() => server.receive()?.length === 4);
  server.send(data("answer"));
  equal(ports(rig.next(UDP)), [server.port, 2999]);
});

Deno.test("a time to live that ends here is told by the gateway", () => {
  using rig = new GuestRig();
  rig.send(udpFrame(4000, ["192.0.2.1", 33434], data("probe"), { hopLimit: 1 }));
  const error = rig.next(ICMP);
  equal([[...error.payload.subarray(0, 2)], error.source], [[11, 0], GATEWAY]);
  rig.send(udpFrame(4000, ["2001:db8::1", 33434], data("probe"), { hopLimit: 1 }));
  const error6 = rig.next(ICMPV6);
  equal([[...error6.payload.subarray(0, 2)], error6.source], [[3, 0], GATEWAY6]);
});

for (
  const [version, loopback, guest, gateway] of [
    ["IPv4", "127.0.0.1", GUEST, GATEWAY],
    ["IPv6", "::1", GUEST6, GATEWAY6],
  ] as const
) {
  Deno.test(`a published port brings datagrams in and their answers back, ${version}`, () => {
    using rig = new GuestRig();
    const published = new HostUdp(loopback);
    const port = {
      protocol: "udp",
      hostAddress: loopback,
      hostPort: published.port,
      containerPort: 53,
    } as const;
    rig.stack.publish(port, published.fd, { ipv4: GUEST, ipv6: GUEST6 });
    using client = new HostUdp(loopback);
    const to = new SocketAddress().set(mustParse(loopback), published.port);
    client.send(data("question"), to);
    const question = rig.next(UDP);
    // a client of loopback is the gateway inside, never 127.0.0.1
    equal([question.source, question.destination, ports(question)], [gateway, guest, [client.port, 53]]);
    equal([text(question.payload.subarray(8)), question.isRight], ["question", true]);
    rig.send(udpFrame(53, [gateway, client.port], data("answer")));
    equal(text(rig.until(() => client.receive())), "answer");
    equal([formatAddress(client.from.address), client.from.port], [loopback, published.port]);
    rig.stack.unpublish(port);
    equal(rig.received, []);
  });
}

Deno.test("two clients that look alike inside are kept apart by another port", () => {
  using rig = new GuestRig();
  const published = new HostUdp("0.0.0.0");
  const port = {
    protocol: "udp",
    hostAddress: "0.0.0.0",
    hostPort: published.port,
    containerPort: 53,
  } as const;
  rig.stack.publish(port, published.fd, { ipv4: GUEST });
  using one = new HostUdp("127.0.0.1");
  using other = new HostUdp("127.0.0.2", one.port);
  one.send(data("one"), new SocketAddress().set([127, 0, 0, 1], published.port));
  const first = rig.next(UDP);
  other.send(data("other"), new SocketAddress().set([127, 0, 0, 3], published.port));
  const second = rig.next(UDP);
  equal([first.source, second.source], [GATEWAY, GATEWAY]);
  equal([ports(first)[0] === one.port, ports(second)[0] !== one.port], [true, true]);
  rig.send(udpFrame(53, [GATEWAY, ports(second)[0]!], data("to other")));
  rig.send(udpFrame(53, [GATEWAY, ports(first)[0]!], data("to one")));
  equal(text(rig.until(() => other.receive())), "to other");
  equal(formatAddress(other.from.address), "127.0.0.3", "the answer comes from the address that was asked");
  equal(text(rig.until(() => one.receive())), "to one");
});

Deno.test("what is silent for long is closed: sooner where nobody ever answered, last of all after an answer", () => {
  using rig = new GuestRig({ allowHostLoopback: true });
  using answering = new HostUdp("127.0.0.1");
  using silent = new HostUdp("127.0.0.1");
  const sockets = () => {
    rig.work();
    return [...Deno.readDirSync("/proc/self/fd")].length;
  };
  const none = sockets();
  const { nowMs } = clock;
  let aheadMs = 0;
  clock.nowMs = () => nowMs() + aheadMs;
  try {
    rig.send(udpFrame(4000, [GATEWAY, answering.port], data("x")));
    rig.until(() => answering.receive());
    answering.send(data("y"));
    rig.next(UDP);
    rig.send(udpFrame(4001, [GATEWAY, silent.port], data("x")));
    equal(sockets() - none, 2);
    aheadMs = EXPIRY_MS.unanswered + 10_000;
    equal(sockets() - none, 1);
    // what is said keeps it open
    rig.send(udpFrame(4000, [GATEWAY, answering.port], data("x")));
    aheadMs += EXPIRY_MS.unanswered + 10_000;
    equal(sockets() - none, 1);
    aheadMs += EXPIRY_MS.answered;
    equal(sockets() - none, 0);
  } finally {
    clock.nowMs = nowMs;
  }
});

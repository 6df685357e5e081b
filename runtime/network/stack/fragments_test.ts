import { deepStrictEqual as equal } from "node:assert/strict";
import {
  GATEWAY,
  GATEWAY6,
  GUEST,
  GUEST6,
  GuestRig,
  HostUdp,
  icmpFrame,
  ipFrame,
  udpFrame,
  udpPayload,
} from "./guest_rig.ts";

const UDP = 17, ICMP = 1, ICMPV6 = 58;

type Part = [from: number, to: number];

function parts(length: number, size: number): Part[] {
  const all: Part[] = [];
  for (let from = 0; from < length; from += size) all.push([from, Math.min(length, from + size)]);
  return all;
}

for (
  const [version, gateway, guest, loopback] of [
    ["IPv4", GATEWAY, GUEST, "127.0.0.1"],
    ["IPv6", GATEWAY6, GUEST6, "::1"],
  ] as const
) {
  const rigAndServer = () => ({
    rig: new GuestRig({ allowHostLoopback: true }),
    server: new HostUdp(loopback),
  });
  /** Sends `whole` in these parts; `end` is where the last one ends. */
  const sendParts = (rig: GuestRig, whole: Uint8Array, id: number, list: Part[], end = whole.length) => {
    for (const [from, to] of list) {
      const fragment = { id, offset: from, more: to !== end };
      rig.send(ipFrame({ to: gateway, protocol: UDP, fragment }, whole.subarray(from, to)));
    }
  };

  Deno.test(`fragments in any order become the datagram that they were, ${version}`, () => {
    const { rig, server } = rigAndServer();
    using _rig = rig, _server = server;
    const data = crypto.getRandomValues(new Uint8Array(20_000));
    const whole = udpPayload([guest, 4000], [gateway, server.port], data);
    const inOrder = parts(whole.length, 1480);
    const orders = [inOrder, inOrder.toReversed(), [...inOrder.slice(5), ...inOrder.slice(0, 5)]];
    orders.forEach((order, id) => {
      sendParts(rig, whole, id, order);
      equal(rig.until(() => server.receive()), data);
    });
    // the largest that there is
    const most = version === "IPv4" ? 65_507 : 65_527;
    const largest = udpPayload([guest, 4000], [gateway, server.port], new Uint8Array(most).fill(3));
    sendParts(rig, largest, 77, parts(largest.length, 1480));
    equal(rig.until(() => server.receive()).length, most);
    equal(rig.received, []);
  });

  Deno.test(`what overlaps, is uneven, too long or contradicts itself is dropped, ${version}`, () => {
    const { rig, server } = rigAndServer();
    using _rig = rig, _server = server;
    const whole = udpPayload([guest, 4000], [gateway, server.port], new Uint8Array(100).fill(1));
    sendParts(rig, whole, 1, [[0, 56], [48, 108]]);
    sendParts(rig, whole, 2, [[0, 56], [0, 8], [56, 108]]);
    sendParts(rig, whole, 3, [[0, 55], [56, 108]]);
    sendParts(rig, whole, 4, [[56, 108], [0, 64]]);
    // two ends
    sendParts(rig, whole, 5, [[56, 108]]);
    sendParts(rig, whole, 5, [[64, 72]], 72);
    sendParts(rig, whole, 5, [[0, 56]]);
    // beyond 65,535 bytes
    const fragment = { id: 6, offset: 65_528, more: false };
    rig.send(ipFrame({ to: gateway, protocol: UDP, fragment }, new Uint8Array(100)));
    rig.send(ipFrame({ to: gateway, protocol: UDP, fragment: { id: 7, offset: 8, more: true } }, []));
    rig.send(udpFrame(4000, [gateway, server.port], [2]));
    equal([...rig.until(() => server.receive())], [2], "none of the others came");
    // control: the same parts without a fault
    sendParts(rig, whole, 8, [[56, 108], [0, 56]]);
    equal(rig.until(() => server.receive()).length, 100);
    equal(rig.received, []);
  });

  Deno.test(`beginnings that never end hold a bounded memory, and shut nobody out, ${version}`, () => {
    const { rig, server } = rigAndServer();
    using _rig = rig, _server = server;
    const whole = udpPayload([guest, 4000], [gateway, server.port], new Uint8Array(100).fill(1));
    const before = Deno.memoryUsage().external;
    for (let id = 0; id < 2000; id++) sendParts(rig, whole, id, [[0, 56]]);
    const grown = Deno.memoryUsage().external - before;
    equal(grown < 8 << 20, true, `${grown} bytes`);
    sendParts(rig, whole, 5000, [[0, 56], [56, 108]]);
    equal(rig.until(() => server.receive()).length, 100);
  });

  Deno.test(`an echo that was fragmented is answered whole, ${version}`, () => {
    using rig = new GuestRig({ mtu: 1500 });
    const request = icmpFrame(gateway, version === "IPv4" ? [8, 0] : [128, 0], new Uint8Array(3004).fill(9));
    const message = request.subarray(10 + (version === "IPv4" ? 20 : 40));
    const protocol = version === "IPv4" ? ICMP : ICMPV6;
    for (const [from, to] of parts(message.length, 1400)) {
      const fragment = { id: 9, offset: from, more: to !== message.length };
      rig.send(ipFrame({ to: gateway, protocol, fragment }, message.subarray(from, to)));
    }
    const answer: number[] = [];
    for (let isMore = true; isMore;) {
      const part = rig.next(protocol);
      equal(part.fragmentOffset, answer.length);
      answer.push(...part.payload);
      isMore = part.moreFragments;
    }
    equal([answer[0], answer.length], [version === "IPv4" ? 0 : 129, message.length]);
    equal(answer.slice(4), [...message.subarray(4)]);
  });
}

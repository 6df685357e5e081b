import { deepStrictEqual as equal } from "node:assert/strict";
import { mustParse } from "./addresses.ts";
import {
  GATEWAY,
  GATEWAY6,
  GUEST6,
  GuestRig,
  HostUdp,
  icmpFrame,
  ipFrame,
  NAMESERVER,
  NAMESERVER6,
  udpFrame,
} from "./guest_rig.ts";

const ICMP = 1, ICMPV6 = 58;
const ECHO = [0x12, 0x34, 0, 7, 1, 2, 3, 4];

for (const to of [GATEWAY, NAMESERVER, GATEWAY6, NAMESERVER6]) {
  Deno.test(`an echo request to ${to} is answered`, () => {
    using rig = new GuestRig();
    const [protocol, request, reply] = to.includes(":") ? [ICMPV6, 128, 129] as const : [ICMP, 8, 0] as const;
    rig.send(icmpFrame(to, [request, 0], ECHO));
    const answer = rig.next(protocol);
    equal([answer.source, answer.payload[0], answer.isRight], [to, reply, true]);
    equal([...answer.payload.subarray(4)], ECHO);
    // a wrong checksum, and too short
    const wrong = icmpFrame(to, [request, 0], ECHO);
    wrong[wrong.length - 1]! ^= 1;
    rig.send(wrong);
    rig.send(icmpFrame(to, [request, 0], [1, 2]));
    equal(rig.received, []);
  });
}

Deno.test("a hop limit that ends here, loopback and groups", () => {
  using rig = new GuestRig();
  rig.send(icmpFrame("192.0.2.1", [8, 0], ECHO, { hopLimit: 1 }));
  equal([...rig.next(ICMP).payload.subarray(0, 2)], [11, 0]);
  for (const to of ["127.0.0.1", "224.0.0.1", "255.255.255.255"]) rig.send(icmpFrame(to, [8, 0], ECHO));
  for (const to of ["::1", "ff02::1", "fe80::9"]) rig.send(icmpFrame(to, [128, 0], ECHO));
  equal(rig.received.filter(({ destination }) => destination !== GUEST6), []);
});

const LINK_LOCAL = "fe80::5";
const ALL_ROUTERS = "ff02::2";

Deno.test("a router solicitation is answered with prefix, MTU and nameserver, from the gateway's link-local address", () => {
  using rig = new GuestRig({ mtu: 1500 });
  rig.send(icmpFrame(ALL_ROUTERS, [133, 0], [0, 0, 0, 0], { from: LINK_LOCAL, hopLimit: 255 }));
  const answer = rig.next(ICMPV6);
  equal([answer.source, answer.destination, answer.hopLimit, answer.isRight], [
    "fe80::2",
    LINK_LOCAL,
    255,
    true,
  ]);
  const { payload } = answer;
  const view = new DataView(payload.buffer);
  equal([payload[0], view.getUint16(6)], [134, 1800]);
  const options = new Map<number, Uint8Array>();
  for (let at = 16; at < payload.length; at += 8 * payload[at + 1]!) {
    options.set(payload[at]!, payload.slice(at, at + 8 * payload[at + 1]!));
  }
  equal([...options.keys()], [5, 3, 25]);
  equal([...options.get(5)!.subarray(4)], [0, 0, 5, 0xdc]);
  // on-link, but no addresses are to be made up from it
  equal([...options.get(3)!.subarray(2, 4)], [64, 0x80]);
  equal([...options.get(3)!.subarray(16)], [...mustParse("fd00::")]);
  equal([...options.get(25)!.subarray(8)], [...mustParse(NAMESERVER6)]);
  // who has no address yet hears it as all do
  rig.send(icmpFrame(ALL_ROUTERS, [133, 0], [0, 0, 0, 0], { from: "::", hopLimit: 255 }));
  equal(rig.next(ICMPV6).destination, "ff02::1");
});

Deno.test("neighbours are the stack's own addresses", () => {
  using rig = new GuestRig();
  const ask = (target: string, hopLimit = 255) =>
    rig.send(
      icmpFrame("ff02::1:ff00:2", [135, 0], [0, 0, 0, 0, ...mustParse(target)], { from: GUEST6, hopLimit }),
    );
  ask(GATEWAY6);
  const answer = rig.next(ICMPV6);
  equal([answer.source, answer.payload[0], answer.payload[4]], [GATEWAY6, 136, 0xe0]);
  equal([...answer.payload.subarray(8)], [...mustParse(GATEWAY6)]);
  ask("fe80::2");
  equal(rig.next(ICMPV6).source, "fe80::2");
  ask("fd00::77");
  ask(GATEWAY6, 64);
  equal(rig.received, []);
});

Deno.test("router advertisements, redirects, listener reports and errors of a guest change and answer nothing", () => {
  using rig = new GuestRig({ allowHostLoopback: true });
  using server = new HostUdp("::1");
  const router = [
    64,
    0,
    0xff,
    0xff,
    ...new Array<number>(8).fill(0),
    3,
    4,
    64,
    0xc0,
    ...new Array<number>(28).fill(1),
  ];
  const from = { from: "fe80::bad", hopLimit: 255 };
  rig.send(icmpFrame("ff02::1", [134, 0], router, from));
  rig.send(icmpFrame(GATEWAY6, [134, 0], router, { hopLimit: 255 }));
  rig.send(
    icmpFrame(GUEST6, [137, 0], [0, 0, 0, 0, ...mustParse("fe80::bad"), ...mustParse(GATEWAY6)], from),
  );
  rig.send(icmpFrame("ff02::1", [136, 0], [0xe0, 0, 0, 0, ...mustParse(GATEWAY6)], from));
  rig.send(icmpFrame("ff02::16", [143, 0], [0, 0, 0, 1, 4, 0, 0, 0, ...mustParse("ff02::fb")], from));
  rig.send(icmpFrame(GATEWAY6, [1, 4], new Array<number>(60).fill(0x60)));
  rig.send(icmpFrame(GATEWAY6, [2, 0], new Array<number>(60).fill(0)));
  rig.send(icmpFrame(GATEWAY, [5, 1], new Array<number>(40).fill(0x45)));
  rig.send(icmpFrame(GATEWAY, [3, 4], new Array<number>(40).fill(0)));
  rig.send(ipFrame({ to: GATEWAY, protocol: 2 }, [0x16, 0, 0, 0, 224, 0, 0, 251]));
  equal(rig.received, []);
  // control: the way that they would have changed still goes
  rig.send(udpFrame(4000, [GATEWAY6, server.port], [1]));
  rig.until(() => server.receive());
  server.send([2]);
  equal(rig.next(17).source, GATEWAY6);
});

Deno.test("solicitations with options that do not fit are no solicitations", () => {
  using rig = new GuestRig();
  for (const options of [[1, 0], [1, 2, 0, 0, 0, 0, 0, 0], [1], [1, 255]]) {
    rig.send(icmpFrame(ALL_ROUTERS, [133, 0], [0, 0, 0, 0, ...options], { from: LINK_LOCAL, hopLimit: 255 }));
    const target = [0, 0, 0, 0, ...mustParse(GATEWAY6), ...options];
    rig.send(icmpFrame("ff02::1:ff00:2", [135, 0], target, { hopLimit: 255 }));
  }
  rig.send(icmpFrame("ff02::1:ff00:2", [135, 0], [0, 0, 0, 0, 1, 2], { hopLimit: 255 }));
  equal(rig.received, []);
});

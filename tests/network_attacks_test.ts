/**
 * What a container can send at the network that serves it, by raw packets of its own. Attack 30: the host's loopback
 * through the gateway, trust in 127.0.0.1 as a source (CVE-2021-20199), rogue router advertisements, fuzzed packets.
 */

import { createSocket } from "node:dgram";
import { readFaults } from "../runtime/monitor/faults.ts";
import { mustParse } from "../runtime/network/stack/addresses.ts";
import {
  type Bytes,
  GATEWAY,
  GATEWAY6,
  GUEST6,
  HostUdp,
  icmpFrame,
  NAMESERVER,
  NAMESERVER6,
  udpFrame,
} from "../runtime/network/stack/guest_rig.ts";
import { VNET_BYTES } from "../runtime/network/stack/packet.ts";
import { assertEquals, assertMatch, type Host, hostTest, type Need, waitFor } from "./harness.ts";
import { probeVolume } from "./probes.ts";
import { corpus, mutate, Random } from "./stack_fuzz_run.ts";

const NEEDS = { needs: ["registry", "busybox", "uidmap", "gcc"] as Need[] };

/** A container that may send raw packets, and asks no nameserver but one of this machine's loopback. */
async function startAttacker(host: Host, name: string, ...options: string[]): Promise<void> {
  const probe = await probeVolume(host, "packet_probe");
  await host.ok(
    ...[
      "run",
      "-q",
      "-d",
      "--name",
      name,
      "--cap-add",
      "NET_RAW",
      "--dns",
      "127.0.0.1",
      ...probe,
      ...options,
    ],
    ...[await host.image(), "sleep", "600"],
  );
}

/** Has the container send these packets, and waits until the stack has had them all. */
async function attack(host: Host, name: string, frames: readonly Bytes[]): Promise<void> {
  const packets = frames.map((frame) => frame.subarray(VNET_BYTES));
  const stdin = new Uint8Array(packets.reduce((sum, packet) => sum + 2 + packet.length, 0));
  let at = 0;
  for (const packet of packets) {
    stdin.set([packet.length >> 8, packet.length & 255], at);
    stdin.set(packet, at + 2);
    at += 2 + packet.length;
  }
  const { stdout, stderr, code } = await host.skiff(["exec", "-i", name, "/probe"], { stdin });
  assertEquals(code, 0, stderr);
  assertEquals(Number(stdout) > packets.length / 2, true, `${stdout} of ${packets.length} packets were sent`);
  await assertNetworkWorks(host, name);
}

/** The gateway answers, and so has read what came before. */
async function assertNetworkWorks(host: Host, name: string): Promise<void> {
  for (const address of [GATEWAY, GATEWAY6]) {
    assertMatch(
      await host.ok("exec", name, "busybox", "ping", "-c", "1", "-W", "60", address),
      /1 packets received/,
    );
  }
}

function assertNoFaults(host: Host): void {
  for (const id of host.containers()) assertEquals(readFaults(`${host.data}/containers/${id}`), undefined);
}

/** Everything that arrived. */
function drain(...servers: HostUdp[]): string[] {
  return servers.flatMap((server) => {
    const all: string[] = [];
    for (let data = server.receive(); data; data = server.receive()) all.push(new TextDecoder().decode(data));
    return all;
  });
}

hostTest(
  "no packet of a container reaches this machine's loopback, by no address and no source",
  NEEDS,
  async (host) => {
    using ipv4 = new HostUdp("127.0.0.1");
    using ipv6 = new HostUdp("::1");
    const word = (text: string) => new TextEncoder().encode(text);
    const frames = [
      ...["127.0.0.1", "127.1.2.3", "0.0.0.0", "255.255.255.255", NAMESERVER, "10.0.2.100", GATEWAY]
        .flatMap((to) => [
          udpFrame(4000, [to, ipv4.port], word(to)),
          udpFrame(4000, [to, ipv4.port], word(`${to} spoofed`), { from: "127.0.0.1" }),
          udpFrame(4000, [to, ipv4.port], word(`${to} spoofed`), { from: GATEWAY }),
        ]),
      ...["::1", "::", "::ffff:127.0.0.1", "fe80::1", "ff02::1", NAMESERVER6, GUEST6, GATEWAY6]
        .flatMap((to) => [
          udpFrame(4000, [to, ipv6.port], word(to)),
          udpFrame(4000, [to, ipv6.port], word(`${to} spoofed`), { from: "::1" }),
        ]),
    ];
    await startAttacker(host, "closed");
    await attack(host, "closed", frames);
    assertEquals(drain(ipv4, ipv6), []);
    // control: the packets go their way; where it is allowed, those to the gateways and no others arrive
    await startAttacker(host, "open", "--network", "slirp:allow_host_loopback=true");
    await attack(host, "open", frames);
    const heard: string[] = [];
    await waitFor("the datagrams to the gateways", () => {
      heard.push(...drain(ipv4, ipv6));
      return heard.length >= 2;
    });
    assertEquals(heard, [GATEWAY, GATEWAY6]);
    assertNoFaults(host);
  },
);

hostTest("a client of this machine's loopback is not 127.0.0.1 inside", NEEDS, async (host) => {
  const image = await host.image();
  // who trusts 127.0.0.1 gives its secret to what comes from there
  const script = "mkdir -p /tmp/w/cgi-bin; cd /tmp/w/cgi-bin; " +
    `printf '#!/bin/sh\\necho; echo from $REMOTE_ADDR' >who; chmod +x who; ` +
    "exec busybox httpd -f -p 80 -h /tmp/w";
  await host.ok("run", "-q", "-d", "--name", "web", "-p", "127.0.0.1::80", image, "sh", "-c", script);
  const port = Number((await host.ok("port", "web", "80")).split(":")[1]);
  const get = "busybox wget -q -O - http://127.0.0.1/cgi-bin/who 2>&1; true";
  await waitFor("the server", async () => {
    const { stdout } = await host.skiff(["exec", "web", "sh", "-c", get]);
    // control: from inside it is
    return stdout === "from [::ffff:127.0.0.1]\n";
  });
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  await conn.write(new TextEncoder().encode("GET /cgi-bin/who HTTP/1.0\r\n\r\n"));
  const text = await new Response(conn.readable).text();
  assertMatch(text, /from \[::ffff:10\.0\.2\.2\]\n/);
});

hostTest("rogue router advertisements, redirects and neighbours change nobody's way", NEEDS, async (host) => {
  using server = new HostUdp("::1");
  await startAttacker(host, "c", "--network", "slirp:allow_host_loopback=true");
  const rogue = { from: "fe80::bad", hopLimit: 255 };
  const lifetimes = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
  const prefix = [3, 4, 64, 0xc0, ...lifetimes, ...mustParse("fd00::")];
  const nameserver = [25, 3, 0, 0, 0xff, 0xff, 0xff, 0xff, ...mustParse("fe80::bad")];
  const router = [64, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, ...prefix, ...nameserver];
  const target = [0xe0, 0, 0, 0, ...mustParse(GATEWAY6), 2, 1, 2, 0, 0, 0, 0, 1];
  await attack(host, "c", [
    icmpFrame("ff02::1", [134, 0], router, rogue),
    icmpFrame(GATEWAY6, [134, 0], router, rogue),
    icmpFrame("ff02::1", [134, 0], router, { hopLimit: 255 }),
    icmpFrame(GUEST6, [137, 0], [0, 0, 0, 0, ...mustParse("fe80::bad"), ...mustParse(GATEWAY6)], rogue),
    icmpFrame("ff02::1", [136, 0], target, rogue),
    icmpFrame(GATEWAY, [5, 1], [10, 0, 2, 66, ...new Array<number>(28).fill(0x45)]),
  ]);
  const routes = await host.ok("exec", "c", "busybox", "ip", "-6", "route");
  assertEquals(/fe80::bad/.test(routes), false, routes);
  // control: the way that they name is still the gateway's
  await attack(host, "c", [udpFrame(4000, [GATEWAY6, server.port], [33])]);
  await waitFor("the datagram", () => server.receive() !== undefined);
  assertNoFaults(host);
});

hostTest("thousands of broken packets through the interface: the network goes on", NEEDS, async (host) => {
  const random = new Random(20261121);
  const seeds = corpus(random, 9, 9);
  const buffer = new Uint8Array(2 * 65_552);
  const frames: Bytes[] = [];
  for (let count = 0; count < 8000; count++) {
    const length = Math.min(mutate(random, random.one(seeds), buffer), VNET_BYTES + 2000);
    const isIpv4 = buffer[VNET_BYTES]! >> 4 === 4;
    // what leaves the container stays on this machine
    const to = mustParse(random.one(isIpv4 ? [GATEWAY, NAMESERVER] : [GATEWAY6, NAMESERVER6]));
    buffer.set(to, VNET_BYTES + (isIpv4 ? 16 : 24));
    if (length >= VNET_BYTES + 40) frames.push(buffer.slice(0, length));
  }
  const client = createSocket("udp4");
  try {
    await startAttacker(host, "c", "-p", "127.0.0.1::5353/udp");
    const port = Number((await host.ok("port", "c", "5353/udp")).split(":")[1]);
    // and a client of a published port that sends the guest nonsense
    for (let count = 0; count < 100; count++) {
      client.send(random.bytes(random.below(1000)), port, "127.0.0.1");
    }
    for (let at = 0; at < frames.length; at += 2000) await attack(host, "c", frames.slice(at, at + 2000));
  } finally {
    client.close();
  }
  assertEquals(await host.ok("inspect", "--format", "{{.State.Running}}", "c"), "true");
  assertNoFaults(host);
});

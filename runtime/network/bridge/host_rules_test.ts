/** The rules as the kernel would go through them: packets are sent by a small machine that knows the expressions. */

import { assertEquals } from "../../../tests/assertions.ts";
import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP } from "../../../ffi/constants/inet.ts";
import * as nft from "../../../ffi/constants/nf_tables.ts";
import { parseAttributes, textOf } from "../../../ffi/netlink.ts";
import { formatAddress, mustParse } from "../stack/addresses.ts";
import { type HostRules, type RuledNetwork, rulesetRequests } from "./host_rules.ts";

type Bytes = Uint8Array<ArrayBuffer>;

interface Packet {
  from: string;
  to: string;
  in?: string;
  out?: string;
  protocol?: number;
  port?: number;
  isKnown?: boolean;
  wasRedirected?: boolean;
  isLocal?: boolean;
}

const read = (bytes: Bytes) => new DataView(bytes.buffer, bytes.byteOffset).getInt32(0);

/** Verdict of a chain: what a rule of it decides, or "policy". */
class Machine {
  readonly #chains = new Map<string, { name: string; data: Map<number, Bytes> }[][]>();

  constructor(rules: HostRules) {
    for (const { type, body } of rulesetRequests("t", rules)) {
      if ((type & 255) !== nft.NFT_MSG_NEWRULE) continue;
      const attributes = parseAttributes(body as Bytes, 4);
      const list = attributes.get(nft.NFTA_RULE_EXPRESSIONS)!;
      const chain = textOf(attributes.get(nft.NFTA_RULE_CHAIN)!);
      const expressions = [];
      for (let at = 0; at < list.length;) {
        const length = list[at]! | list[at + 1]! << 8;
        const element = parseAttributes(list.slice(at + 4, at + length));
        const name = textOf(element.get(nft.NFTA_EXPR_NAME)!);
        expressions.push({ name, data: parseAttributes(element.get(nft.NFTA_EXPR_DATA)!.slice()) });
        at += length + 3 & ~3;
      }
      this.#chains.set(chain, [...this.#chains.get(chain) ?? [], expressions]);
    }
  }

  run(chain: string, packet: Packet): string {
    return this.#run(chain, packet) ?? "policy";
  }

  #run(chain: string, packet: Packet): string | undefined {
    for (const rule of this.#chains.get(chain) ?? []) {
      const registers: Bytes[] = [];
      const result = this.#apply(rule, packet, registers);
      if (result === "return") return undefined;
      if (result !== undefined) return result;
    }
    return undefined;
  }

  #apply(
    rule: { name: string; data: Map<number, Bytes> }[],
    packet: Packet,
    registers: Bytes[],
  ): string | undefined {
    for (const { name, data } of rule) {
      const value = (type: number) => parseAttributes(data.get(type)!.slice()).get(nft.NFTA_DATA_VALUE)!;
      switch (name) {
        case "cmp": {
          const isSame = registers[1]!.toHex() === value(nft.NFTA_CMP_DATA).toHex();
          if (isSame !== (read(data.get(nft.NFTA_CMP_OP)!) === nft.NFT_CMP_EQ)) return undefined;
          break;
        }
        case "bitwise": {
          const mask = value(nft.NFTA_BITWISE_MASK);
          registers[1] = registers[1]!.map((byte, index) => byte & mask[index]!);
          break;
        }
        case "immediate": {
          const inside = parseAttributes(data.get(nft.NFTA_IMMEDIATE_DATA)!.slice());
          const verdict = inside.get(nft.NFTA_DATA_VERDICT);
          if (verdict === undefined) {
            registers[read(data.get(nft.NFTA_IMMEDIATE_DREG)!)] = value(nft.NFTA_IMMEDIATE_DATA);
            break;
          }
          const parts = parseAttributes(verdict.slice());
          const code = read(parts.get(nft.NFTA_VERDICT_CODE)!);
          if (code === nft.NF_ACCEPT) return "accept";
          if (code === nft.NFT_RETURN) return "return";
          const further = this.#run(textOf(parts.get(nft.NFTA_VERDICT_CHAIN)!), packet);
          return further ?? (code === nft.NFT_GOTO ? "return" : undefined);
        }
        case "nat":
          return `to ${formatAddress(registers[1]!)} ${registers[2]![0]! << 8 | registers[2]![1]!}`;
        case "redir":
          return `to port ${registers[1]![0]! << 8 | registers[1]![1]!}`;
        case "masq":
        case "reject":
          return name;
        default:
          registers[1] = load(name, data, packet);
      }
    }
    return undefined;
  }
}

function load(name: string, data: Map<number, Bytes>, packet: Packet): Bytes {
  const host = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
  const interfaceName = (text = "") => {
    const bytes = new Uint8Array(16);
    bytes.set(new TextEncoder().encode(text));
    return bytes;
  };
  const [from, to] = [mustParse(packet.from), mustParse(packet.to)];
  if (name === "fib") return host(packet.isLocal ? 2 : 1);
  if (name === "ct") {
    const isState = read(data.get(nft.NFTA_CT_KEY)!) === nft.NFT_CT_STATE;
    return host(isState ? packet.isKnown ? 2 : 8 : packet.wasRedirected ? nft.IPS_DST_NAT : 0);
  }
  if (name === "meta") {
    const key = read(data.get(nft.NFTA_META_KEY)!);
    if (key === nft.NFT_META_IIFNAME) return interfaceName(packet.in);
    if (key === nft.NFT_META_OIFNAME) return interfaceName(packet.out);
    if (key === nft.NFT_META_L4PROTO) return Uint8Array.of(packet.protocol ?? IPPROTO_TCP);
    return Uint8Array.of(from.length === 4 ? nft.NFPROTO_IPV4 : nft.NFPROTO_IPV6);
  }
  const [offset, length] = [nft.NFTA_PAYLOAD_OFFSET, nft.NFTA_PAYLOAD_LEN].map((type) =>
    read(data.get(type)!)
  );
  if (read(data.get(nft.NFTA_PAYLOAD_BASE)!) === nft.NFT_PAYLOAD_TRANSPORT_HEADER) {
    const { port = 80 } = packet;
    return Uint8Array.of(port >> 8, port);
  }
  const header = new Uint8Array(40);
  header.set(from, from.length === 4 ? 12 : 8);
  header.set(to, from.length === 4 ? 16 : 24);
  return header.slice(offset, offset! + length!);
}

const network = (number: number, changes: Partial<RuledNetwork> = {}): RuledNetwork => ({
  id: String(number).repeat(64),
  interface: `br${number}`,
  subnets: [
    { subnet: `10.${number}.0.0/24`, gateway: `10.${number}.0.1` },
    { subnet: `fd00:${number}::/64`, gateway: `fd00:${number}::1` },
  ],
  internal: false,
  isolate: "",
  ...changes,
});
const port = (hostAddress: string, hostPort: number, protocol: "tcp" | "udp" = "tcp") => ({
  port: { protocol, hostAddress, hostPort, containerPort: 80 },
  guest: { ipv4: "10.1.0.2", ipv6: "fd00:1::2" },
});

const usual = new Machine({
  networks: [network(1), network(2), network(3, { internal: true })],
  ports: [
    port("0.0.0.0", 8080),
    port("::", 8080),
    port("192.0.2.1", 53, "udp"),
    port("127.0.0.1", 99),
    port("::1", 99),
  ],
});
const WORLD = "198.51.100.7", WORLD6 = "2001:db8::7";

Deno.test("without networks there is no table", () => {
  assertEquals(
    rulesetRequests("t", { networks: [], ports: [] }).map(({ what }) => what),
    ["add table t", "delete table t"],
  );
});

Deno.test("containers reach the world and each other, but no other network's", () => {
  const forward = (packet: Packet) => usual.run("forward", packet);
  for (
    const [own, other, world] of [["10.1.0.2", "10.2.0.2", WORLD], [
      "fd00:1::2",
      "fd00:2::2",
      WORLD6,
    ]] as const
  ) {
    assertEquals(forward({ in: "br1", out: "eth0", from: own, to: world }), "accept");
    assertEquals(forward({ in: "br1", out: "br1", from: own, to: own }), "accept");
    assertEquals(forward({ in: "br1", out: "br2", from: own, to: other }), "reject");
    assertEquals(forward({ in: "br1", out: "br2", from: own, to: other, isKnown: true }), "accept");
    assertEquals(forward({ in: "br1", out: "br2", from: own, to: other, wasRedirected: true }), "accept");
    assertEquals(forward({ in: "br1", out: "eth0", from: other, to: world }), "reject", "a false address");
  }
});

Deno.test("the world reaches published ports, and answers", () => {
  const forward = (packet: Partial<Packet>) =>
    usual.run("forward", { in: "eth0", out: "br1", from: WORLD, to: "10.1.0.2", ...packet });
  assertEquals(forward({}), "reject");
  assertEquals(forward({ isKnown: true }), "accept");
  assertEquals(forward({ wasRedirected: true }), "accept");
  assertEquals(forward({ out: "eth1" }), "policy", "not ours");
});

Deno.test("members that are apart reach each other's published ports only", () => {
  const networks = [network(1, { areMembersApart: true })];
  const apart = new Machine({ networks, ports: [] });
  const forward = (packet: Partial<Packet>) =>
    apart.run("forward", { in: "br1", out: "br1", from: "10.1.0.2", to: "10.1.0.3", ...packet });
  assertEquals(forward({}), "reject");
  assertEquals([forward({ isKnown: true }), forward({ wasRedirected: true })], ["accept", "accept"]);
  assertEquals(forward({ out: "eth0", to: WORLD }), "accept");
});

Deno.test("what leaves keeps its source where that is asked for", () => {
  const leave = (keepsSource?: true) =>
    new Machine({ networks: [network(1, keepsSource && { keepsSource })], ports: [] })
      .run("postrouting", { out: "eth0", from: "10.1.0.2", to: WORLD });
  assertEquals([leave(), leave(true)], ["masq", "policy"]);
});

Deno.test("an internal network ends at its bridge", () => {
  const [from, to] = ["10.3.0.2", WORLD];
  assertEquals(usual.run("forward", { in: "br3", out: "eth0", from, to, isKnown: true }), "reject");
  assertEquals(
    usual.run("forward", { in: "br3", out: "br1", from, to: "10.1.0.2", wasRedirected: true }),
    "reject",
  );
  assertEquals(
    usual.run("forward", { in: "eth0", out: "br3", from: to, to: from, wasRedirected: true }),
    "reject",
  );
  assertEquals(usual.run("forward", { in: "br3", out: "br3", from, to: "10.3.0.3" }), "accept");
  const input = (to: string, protocol: number, port = 80) =>
    usual.run("input", { in: "br3", from: to.includes(":") ? "fd00:3::2" : from, to, protocol, port });
  assertEquals(input("10.3.0.1", IPPROTO_UDP, 53), "accept");
  assertEquals(input("10.3.0.1", IPPROTO_TCP, 53), "accept");
  assertEquals(input("10.3.0.1", IPPROTO_ICMP), "accept");
  assertEquals(input("fe80::1", IPPROTO_ICMPV6), "accept");
  assertEquals(input("10.3.0.1", IPPROTO_TCP, 22), "reject");
  assertEquals(input("192.0.2.1", IPPROTO_TCP, 22), "reject");
  assertEquals(input("192.0.2.1", IPPROTO_ICMP), "reject");
});

Deno.test("a gateway is that of its own network only", () => {
  const input = (to: string) =>
    usual.run("input", { in: "br1", from: to.includes(":") ? "fd00:1::2" : "10.1.0.2", to });
  assertEquals(["10.1.0.1", "fd00:1::1"].map(input), ["accept", "accept"]);
  assertEquals(["10.2.0.1", "fd00:2::1", "10.3.0.1"].map(input), ["reject", "reject", "reject"]);
  assertEquals(input("192.0.2.1"), "policy");
});

Deno.test("published ports lead to the container, those of an address at that address", () => {
  const ask = (chain: string, to: string, port: number, protocol = IPPROTO_TCP) =>
    usual.run(chain, { from: to.includes(":") ? WORLD6 : WORLD, to, port, protocol, isLocal: true });
  for (const chain of ["prerouting", "output"]) {
    assertEquals(ask(chain, "192.0.2.1", 8080), "to 10.1.0.2 80");
    assertEquals(ask(chain, "2001:db8::1", 8080), "to fd00:1::2 80");
    assertEquals(ask(chain, "192.0.2.1", 8080, IPPROTO_UDP), "policy");
    assertEquals(ask(chain, "192.0.2.1", 53, IPPROTO_UDP), "to 10.1.0.2 80");
    assertEquals(ask(chain, "192.0.2.9", 53, IPPROTO_UDP), "policy");
    assertEquals(ask(chain, "fe80::1", 8080), "policy");
  }
  assertEquals(
    usual.run("prerouting", { from: WORLD, to: "203.0.113.1", port: 8080 }),
    "policy",
    "passes through",
  );
  // who listens there answers
  assertEquals(ask("output", "127.0.0.1", 8080), "policy");
  assertEquals(ask("output", "::1", 8080), "policy");
  assertEquals(ask("prerouting", "127.0.0.1", 99), "policy");
});

Deno.test("what leaves has this machine's address, what stays has its own", () => {
  const leave = (packet: Packet) => usual.run("postrouting", packet);
  assertEquals(leave({ from: "10.1.0.2", to: WORLD, out: "eth0" }), "masq");
  assertEquals(leave({ from: "fd00:1::2", to: WORLD6, out: "eth0" }), "masq");
  assertEquals(leave({ from: "10.1.0.2", to: "10.1.0.3", out: "br1" }), "policy");
  assertEquals(leave({ from: "10.1.0.2", to: "10.1.0.3", out: "br1", wasRedirected: true }), "masq");
  assertEquals(leave({ from: WORLD, to: "10.1.0.2", out: "br1", wasRedirected: true }), "policy");
  assertEquals(leave({ from: "10.3.0.2", to: WORLD, out: "eth0" }), "policy", "internal");
});

Deno.test("a nameserver that is not at port 53 is found there", () => {
  const machine = new Machine({ networks: [network(1, { dnsPort: 4053 }), network(2)], ports: [] });
  const ask = (to: string, from: string) =>
    machine.run("prerouting", { in: from, from: "10.1.0.2", to, port: 53, protocol: IPPROTO_UDP });
  assertEquals(ask("10.1.0.1", "br1"), "to port 4053");
  assertEquals([ask("10.1.0.1", "br2"), ask("10.2.0.1", "br2"), ask("9.9.9.9", "br1")], [
    "policy",
    "policy",
    "policy",
  ]);
});

Deno.test("isolated networks reach no published ports of each other, strict ones of nobody", () => {
  const machine = new Machine({
    networks: [
      network(1),
      ...[2, 3].map((number) => network(number, { isolate: "true" })),
      network(4, { isolate: "strict" }),
    ],
    ports: [],
  });
  const reaches = (from: number, to: number) =>
    machine.run("forward", {
      in: `br${from}`,
      out: `br${to}`,
      from: `10.${from}.0.2`,
      to: `10.${to}.0.2`,
      wasRedirected: true,
    }) === "accept";
  const pairs = [1, 2, 3, 4].flatMap((from) =>
    [1, 2, 3, 4].filter((to) => reaches(from, to)).map((to) => `${from}${to}`)
  );
  assertEquals(pairs, ["11", "12", "13", "21", "22", "31", "33", "44"]);
});

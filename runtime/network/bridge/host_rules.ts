/**
 * The rules of bridges that are interfaces of this machine: one table, made anew as a whole with each change.
 *
 * ```
 *  prerouting, output   to this machine ──▶ ports      published ports: the container's address and port
 *  forward   within a bridge                           accept; where members are apart, published ports only
 *            from or to an internal one                refuse
 *            from a bridge, by an address of its own ──▶ outgoing   to another bridge: refuse, else accept
 *            from a bridge, by another address         refuse
 *            to a bridge                               what is known, or for a published port; refuse all else
 *  input     from a bridge                             what is known, or for its own gateway; other gateways: refuse;
 *                                                      an internal one: names and pings only
 *  postrouting   from a bridge out                     this machine's address takes the place of the container's
 * ```
 *
 * An `accept` is for this table only: what the rules of others drop stays dropped.
 *
 * @see nft(8)
 */

import {
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
} from "../../../ffi/constants/inet.ts";
import type { NetlinkRequest } from "../../../ffi/netlink.ts";
import {
  accept,
  addChain,
  addressIn,
  addRule,
  addTable,
  type ChainHook,
  deleteTable,
  destinationBecomes,
  type Expression,
  goBack,
  goTo,
  interfaceIs,
  isOfKnownConnection,
  isToPublishedPort,
  isToThisMachine,
  jumpTo,
  masquerade,
  portBecomes,
  portIs,
  protocolIs,
  reject,
} from "../../../ffi/nftables.ts";
import { mustParse } from "../stack/addresses.ts";
import type { BridgeNetwork, PublishedPort } from "../plan.ts";
import type { Guest } from "./ground.ts";
import { parsePrefix, type Prefix } from "./prefix.ts";

/** What of a network the rules depend on. */
export type RuledNetwork =
  & Pick<BridgeNetwork, "id" | "interface" | "subnets" | "internal" | "isolate">
  & Pick<BridgeNetwork, "areMembersApart" | "keepsSource">
  & {
    /** Where its nameserver listens, where another has port 53. */
    dnsPort?: number;
  };

export interface RuledPort {
  port: PublishedPort;
  guest: Guest;
}

export interface HostRules {
  networks: readonly RuledNetwork[];
  ports: readonly RuledPort[];
}

const CHAINS: Record<string, ChainHook | undefined> = {
  ports: undefined,
  apart: undefined,
  outgoing: undefined,
  gateways: undefined,
  prerouting: { type: "nat", hook: "prerouting", priority: -100 },
  output: { type: "nat", hook: "output", priority: -100 },
  postrouting: { type: "nat", hook: "postrouting", priority: 100 },
  forward: { type: "filter", hook: "forward", priority: 0 },
  input: { type: "filter", hook: "input", priority: 0 },
};

const DNS_PORT = 53;
export const PROTOCOLS = { tcp: IPPROTO_TCP, udp: IPPROTO_UDP, sctp: IPPROTO_SCTP };
/** What a listener of this machine answers instead: nothing else can send to these. */
const LOOPBACK = ["127.0.0.0/8", "::1/128"].map(parsePrefix);
const LINK_LOCAL = parsePrefix("fe80::/10");
const NEIGHBOURHOOD = [LINK_LOCAL, parsePrefix("ff02::/16")];

/** The whole table in place of what there is; without networks none. To be made as one batch. */
export function rulesetRequests(table: string, { networks, ports }: HostRules): NetlinkRequest[] {
  // a table that is not there cannot be deleted
  const clean = [addTable(table), deleteTable(table)];
  if (networks.length === 0) return clean;
  const rules: [chain: string, ...Expression[][]][] = [
    ...ports.flatMap(portRules),
    ...outgoingRules(networks),
    ...networks.flatMap(nameserverRules),
    ["prerouting", isToThisMachine(), jumpTo("ports")],
    ...LOOPBACK.map((prefix): Rule => ["output", addressIn("destination", prefix), goBack]),
    ["output", addressIn("source", LOOPBACK[0]!), goBack],
    ["output", isToThisMachine(), jumpTo("ports")],
    ...networks.flatMap(sourceRules),
    ...forwardRules(networks),
    ...networks.flatMap(inputRules),
    ...networks.flatMap(({ subnets }) =>
      subnets.flatMap(({ gateway }): Rule[] =>
        gateway ? [["gateways", addressIn("destination", whole(gateway)), reject]] : []
      )
    ),
  ];
  return [
    ...clean,
    addTable(table),
    ...Object.entries(CHAINS).map(([name, hook]) => addChain(table, name, hook)),
    ...rules.map(([chain, ...parts]) => addRule(table, chain, ...parts)),
  ];
}

type Rule = [chain: string, ...Expression[][]];

/** Nothing for a port of the loopback: who listens there answers by itself. */
function portRules({ port, guest }: RuledPort): Rule[] {
  const isIpv6 = port.hostAddress.includes(":");
  const inside = isIpv6 ? guest.ipv6 : guest.ipv4;
  if (inside === undefined) return [];
  const isAny = port.hostAddress === "0.0.0.0" || port.hostAddress === "::";
  const outside = mustParse(isAny && !isIpv6 ? "0.0.0.0" : port.hostAddress);
  if (!isAny && (outside[0] === 127 && !isIpv6 || port.hostAddress === "::1")) return [];
  const match = [...protocolIs(PROTOCOLS[port.protocol]), ...portIs(port.hostPort)];
  const address = { address: outside, prefix: isAny ? 0 : 8 * outside.length };
  const scoped: Rule[] = isIpv6
    // nobody forwards what a link-local address has sent
    ? [["ports", match, addressIn("destination", LINK_LOCAL), goBack]]
    : [];
  return [
    ...scoped,
    [
      "ports",
      match,
      addressIn("destination", address),
      destinationBecomes(mustParse(inside), port.containerPort),
    ],
  ];
}

function nameserverRules({ interface: bridge, subnets, dnsPort }: RuledNetwork): Rule[] {
  if (dnsPort === undefined) return [];
  return subnets.flatMap(({ gateway }) =>
    !gateway ? [] : [IPPROTO_UDP, IPPROTO_TCP].map((protocol): Rule => [
      "prerouting",
      interfaceIs("in", bridge),
      addressIn("destination", whole(gateway)),
      protocolIs(protocol),
      portIs(DNS_PORT),
      portBecomes(dnsPort),
    ])
  );
}

function sourceRules({ interface: bridge, subnets, internal, keepsSource }: RuledNetwork): Rule[] {
  return subnets.flatMap(({ subnet }): Rule[] => {
    const own = parsePrefix(subnet);
    return [
      // to a port that is published by one of the same subnet: its answer has to come back by this machine
      [
        "postrouting",
        addressIn("source", own),
        addressIn("destination", own),
        isToPublishedPort(),
        masquerade,
      ],
      ...internal || keepsSource
        ? []
        : [["postrouting", addressIn("source", own), interfaceIs("out", bridge, true), masquerade] as Rule],
    ];
  });
}

/** From where packets of containers may go on to other networks. */
function outgoingRules(networks: readonly RuledNetwork[]): Rule[] {
  const refuseTo = (chain: string, to: readonly RuledNetwork[]) =>
    to.map((network): Rule => [chain, interfaceIs("out", network.interface), reject]);
  const isolated = networks.filter(({ isolate }) => isolate === "strict");
  return [
    ["outgoing", isOfKnownConnection(), accept],
    ...refuseTo("outgoing", isolated),
    // one that another network's container has published, by an address of this machine
    ["outgoing", isToPublishedPort(), accept],
    ["outgoing", goTo("apart")],
    ["apart", isOfKnownConnection(), accept],
    ...refuseTo("apart", networks),
    ["apart", accept],
  ];
}

function forwardRules(networks: readonly RuledNetwork[]): Rule[] {
  const from = ({ interface: name }: RuledNetwork) => interfaceIs("in", name);
  const to = ({ interface: name }: RuledNetwork) => interfaceIs("out", name);
  const internal = networks.filter((network) => network.internal);
  const open = networks.filter((network) => !network.internal);
  const peers = (network: RuledNetwork) =>
    network.isolate === "true" ? networks.filter(({ isolate }) => isolate === "true") : [];
  return [
    // the ports of the bridge keep its members apart; what one sends by the way of the gateway comes here
    ...networks.filter(({ areMembersApart }) => areMembersApart).flatMap((network): Rule[] => {
      const within = [...from(network), ...to(network)];
      return [
        ["forward", within, isOfKnownConnection(), accept],
        ["forward", within, isToPublishedPort(), accept],
        ["forward", within, reject],
      ];
    }),
    ...networks.map((network): Rule => ["forward", from(network), to(network), accept]),
    ...internal.flatMap((network): Rule[] => [
      ["forward", from(network), reject],
      ["forward", to(network), reject],
    ]),
    ...open.flatMap((network): Rule[] => [
      ...network.subnets.flatMap(({ subnet }): Rule[] => {
        const own = [...from(network), ...addressIn("source", parsePrefix(subnet))];
        return [
          ...peers(network).map((peer): Rule => ["forward", own, to(peer), goTo("apart")]),
          ["forward", own, goTo(network.isolate === "strict" ? "apart" : "outgoing")],
        ];
      }),
      ["forward", from(network), reject],
    ]),
    ...open.flatMap((network): Rule[] => [
      ["forward", to(network), isOfKnownConnection(), accept],
      ["forward", to(network), isToPublishedPort(), accept],
      ["forward", to(network), reject],
    ]),
  ];
}

/** What containers may reach of this machine. */
function inputRules({ interface: bridge, subnets, internal, dnsPort = DNS_PORT }: RuledNetwork): Rule[] {
  const from = interfaceIs("in", bridge);
  const gateways = subnets.flatMap(({ gateway }) => gateway ? [whole(gateway)] : []);
  const allowed = !internal ? [[]] : [IPPROTO_ICMP, IPPROTO_ICMPV6].map(protocolIs).concat(
    [IPPROTO_UDP, IPPROTO_TCP].map((protocol) => [...protocolIs(protocol), ...portIs(dnsPort)]),
  );
  return [
    ["input", from, isOfKnownConnection(), accept],
    ...gateways.flatMap((gateway) =>
      allowed.map((what): Rule => ["input", from, addressIn("destination", gateway), what, accept])
    ),
    // neighbours are found by these
    ...(internal ? NEIGHBOURHOOD : []).map((prefix): Rule => [
      "input",
      from,
      protocolIs(IPPROTO_ICMPV6),
      addressIn("destination", prefix),
      accept,
    ]),
    ["input", from, internal ? reject : jumpTo("gateways")],
  ];
}

function whole(text: string): Prefix {
  const address = mustParse(text);
  return { address, prefix: 8 * address.length };
}

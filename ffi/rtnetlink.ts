/**
 * Links, addresses, routes and rules, as netlink requests. Addresses are bytes in network order, 4 or 16.
 *
 * @see rtnetlink(7), ip-link(8), ip-address(8), ip-route(8), ip-rule(8)
 */

import {
  FR_ACT_BLACKHOLE,
  FR_ACT_TO_TBL,
  FR_ACT_UNREACHABLE,
  FRA_DPORT_RANGE,
  FRA_DST,
  FRA_IIFNAME,
  FRA_IP_PROTO,
  FRA_PRIORITY,
  FRA_SPORT_RANGE,
  FRA_SRC,
  FRA_TABLE,
  IFA_ADDRESS,
  IFA_BROADCAST,
  IFA_F_NODAD,
  IFA_FLAGS,
  IFA_LOCAL,
  IFLA_ADDRESS,
  IFLA_AF_SPEC,
  IFLA_IFNAME,
  IFLA_INET6_ADDR_GEN_MODE,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_LINK,
  IFLA_LINKINFO,
  IFLA_MASTER,
  IFLA_MTU,
  IFLA_NET_NS_FD,
  IFLA_TXQLEN,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_MAIN,
  RTA_DST,
  RTA_GATEWAY,
  RTA_OIF,
  RTA_PREFSRC,
  RTA_PRIORITY,
  RTA_TABLE,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_DELROUTE,
  RTM_DELRULE,
  RTM_GETADDR,
  RTM_GETLINK,
  RTM_GETROUTE,
  RTM_GETRULE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWROUTE,
  RTM_NEWRULE,
  RTN_LOCAL,
  RTN_UNICAST,
  RTN_UNREACHABLE,
  RTPROT_STATIC,
} from "./constants/rtnetlink.ts";
import { concat } from "./concat.ts";
import { IFF_UP } from "./constants/ioctl.ts";
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "./constants/netlink.ts";
import { AF_INET, AF_INET6 } from "./constants/socket.ts";
import {
  type Attribute,
  type NetlinkMessage,
  type NetlinkRequest,
  parseAttributes,
  request,
  textOf,
  u16,
} from "./netlink.ts";

const NEW = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;

/** A link by its index or, where that is not known yet, by its name. */
export type LinkId = number | string;

/** What may be said of a link when it is made or changed. */
export interface LinkSettings {
  up?: boolean;
  /** A new name; the link must be down. */
  name?: string;
  mtu?: number;
  txQueueLength?: number;
  /** 6 bytes. */
  mac?: Uint8Array;
  /** Index of the bridge it becomes a port of; 0 leaves it. */
  master?: number;
  /** A descriptor of the network namespace that it moves to. */
  netns?: number;
  /** No link-local IPv6 address is made when it comes up. */
  noLinkLocal?: boolean;
}

/** `kind` and its data make a new link: `bridge`, `veth`, … @see ip-link(8), types */
export interface NewLink extends LinkSettings {
  name: string;
  kind: string;
  data?: Attribute[];
  /** The link that it hangs on (macvlan, ipvlan). */
  parent?: number;
}

export function setLink(link: LinkId, settings: LinkSettings, more: Attribute[] = []): NetlinkRequest {
  const attributes = [...settingAttributes(settings), ...more];
  if (typeof link === "string") attributes.unshift([IFLA_IFNAME, link]);
  const index = typeof link === "number" ? link : 0;
  return request(`set link ${link}`, RTM_NEWLINK, ifinfomsg(index, settings.up), attributes);
}

export function addLink({ kind, data, parent, ...settings }: NewLink): NetlinkRequest {
  return request(`add ${kind} ${settings.name}`, RTM_NEWLINK, ifinfomsg(0, settings.up), [
    ...settingAttributes(settings),
    [IFLA_LINK, parent],
    [IFLA_LINKINFO, [[IFLA_INFO_KIND, kind], [IFLA_INFO_DATA, data]]],
  ], NEW);
}

export function deleteLink(link: LinkId): NetlinkRequest {
  const name: Attribute[] = typeof link === "string" ? [[IFLA_IFNAME, link]] : [];
  return request(`delete link ${link}`, RTM_DELLINK, ifinfomsg(typeof link === "number" ? link : 0), name);
}

function settingAttributes(settings: LinkSettings): Attribute[] {
  return [
    [IFLA_IFNAME, settings.name],
    [IFLA_MTU, settings.mtu],
    [IFLA_TXQLEN, settings.txQueueLength],
    [IFLA_ADDRESS, settings.mac],
    [IFLA_MASTER, settings.master],
    [IFLA_NET_NS_FD, settings.netns],
    [
      IFLA_AF_SPEC,
      settings.noLinkLocal ? [[AF_INET6, [[IFLA_INET6_ADDR_GEN_MODE, Uint8Array.of(1)]]]] : undefined,
    ],
  ];
}

/** struct ifinfomsg, also the first of a veth's peer (VETH_INFO_PEER). */
export function ifinfomsg(index = 0, up?: boolean): Uint8Array {
  const struct = new Uint8Array(16);
  new Uint32Array(struct.buffer).set([0, index, up ? IFF_UP : 0, up === undefined ? 0 : IFF_UP]);
  return struct;
}

/** An address of a link and the prefix of its network, which becomes a route. IPv6 is usable at once. */
export interface LinkAddress {
  link: number;
  address: Uint8Array;
  prefix: number;
}

export function addAddress(wanted: LinkAddress): NetlinkRequest {
  return addressRequest("add", RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, wanted);
}

export function deleteAddress(unwanted: LinkAddress): NetlinkRequest {
  return addressRequest("delete", RTM_DELADDR, NLM_F_ACK, unwanted);
}

function addressRequest(
  verb: string,
  type: number,
  flags: number,
  { link, address, prefix }: LinkAddress,
): NetlinkRequest {
  // struct ifaddrmsg
  const struct = new Uint8Array(8);
  struct.set([familyOf(address), prefix, 0, isLoopbackAddress(address) ? RT_SCOPE_HOST : 0]);
  new DataView(struct.buffer).setUint32(4, link, true);
  const isIpv4 = address.length === 4;
  return request(`${verb} address ${showBytes(address)}/${prefix}`, type, struct, [
    [IFA_LOCAL, address],
    [IFA_ADDRESS, address],
    [IFA_BROADCAST, isIpv4 && prefix < 31 && type === RTM_NEWADDR ? broadcast(address, prefix) : undefined],
    [IFA_FLAGS, isIpv4 ? undefined : IFA_F_NODAD],
  ], flags);
}

export interface Route {
  family: "ipv4" | "ipv6";
  /** Absent: the default route. */
  destination?: { address: Uint8Array; prefix: number };
  gateway?: Uint8Array;
  link?: number;
  metric?: number;
  table?: number;
  /** Preferred source. */
  source?: Uint8Array;
  /** Packets are answered with an ICMP error instead. */
  unreachable?: boolean;
  /** Packets have arrived: they are for sockets here, whatever address they bear. */
  local?: boolean;
}

export function addRoute(route: Route): NetlinkRequest {
  return routeRequest("add", RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, route);
}

export function deleteRoute(route: Route): NetlinkRequest {
  return routeRequest("delete", RTM_DELROUTE, NLM_F_ACK, route);
}

function routeRequest(verb: string, type: number, flags: number, route: Route): NetlinkRequest {
  const { destination, gateway, table = RT_TABLE_MAIN } = route;
  // struct rtmsg
  const struct = new Uint8Array(12);
  struct.set([
    ...[route.family === "ipv4" ? AF_INET : AF_INET6, destination?.prefix ?? 0, 0, 0],
    ...[table < 256 ? table : 0, RTPROT_STATIC],
    scopeOf(route),
    route.unreachable ? RTN_UNREACHABLE : route.local ? RTN_LOCAL : RTN_UNICAST,
  ]);
  const place = destination ? `${showBytes(destination.address)}/${destination.prefix}` : "default";
  return request(`${verb} route ${place}`, type, struct, [
    [RTA_DST, destination?.address],
    [RTA_GATEWAY, gateway],
    [RTA_OIF, route.link],
    [RTA_PRIORITY, route.metric],
    [RTA_PREFSRC, route.source],
    [RTA_TABLE, table],
  ], flags);
}

/** For `NetlinkSocket.ask`: the way of packets that are made here. */
export function findRoute(address: Uint8Array): NetlinkRequest {
  const struct = new Uint8Array(12);
  struct.set([familyOf(address), 8 * address.length]);
  return request(`find route to ${showBytes(address)}`, RTM_GETROUTE, struct, [[RTA_DST, address]]);
}

/** Index of the link by which the way that `findRoute` finds leaves; undefined where there is none. */
export function parseRouteLink({ body }: NetlinkMessage): number | undefined {
  return numberOf(parseAttributes(body, 12), RTA_OIF);
}

function scopeOf({ family, gateway, unreachable, local }: Route): number {
  if (local) return RT_SCOPE_HOST;
  return gateway || unreachable || family === "ipv6" ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
}

/** Which table the routes of a packet are looked up in. */
export interface Rule {
  family: "ipv4" | "ipv6";
  /** The link that the packet came in by. */
  incoming?: string;
  /** Where it comes from, and where it goes. */
  from?: { address: Uint8Array; prefix: number };
  to?: { address: Uint8Array; prefix: number };
  /** Its protocol (IPPROTO_*) and ports. Linux 4.17. */
  flow?: { protocol: number; sourcePort: number; destinationPort: number };
  /** Absent: unreachable, or else it is dropped without a word. */
  table?: number;
  blackhole?: boolean;
  priority: number;
}

export function addRule(rule: Rule): NetlinkRequest {
  return ruleRequest("add", RTM_NEWRULE, NEW, rule);
}

export function deleteRule(rule: Rule): NetlinkRequest {
  return ruleRequest("delete", RTM_DELRULE, NLM_F_ACK, rule);
}

function ruleRequest(verb: string, type: number, flags: number, rule: Rule): NetlinkRequest {
  const { table = 0, flow } = rule;
  // struct fib_rule_hdr
  const struct = new Uint8Array(12);
  const family = rule.family === "ipv4" ? AF_INET : AF_INET6;
  struct.set([family, rule.to?.prefix ?? 0, rule.from?.prefix ?? 0, 0, table < 256 ? table : 0]);
  const otherwise = rule.blackhole ? FR_ACT_BLACKHOLE : FR_ACT_UNREACHABLE;
  struct[7] = rule.table === undefined ? otherwise : FR_ACT_TO_TBL;
  return request(`${verb} rule ${rule.priority}`, type, struct, [
    [FRA_DST, rule.to?.address],
    [FRA_SRC, rule.from?.address],
    [FRA_IIFNAME, rule.incoming],
    [FRA_PRIORITY, rule.priority],
    [FRA_TABLE, rule.table],
    [FRA_IP_PROTO, flow && Uint8Array.of(flow.protocol)],
    [FRA_SPORT_RANGE, flow && portRange(flow.sourcePort)],
    [FRA_DPORT_RANGE, flow && portRange(flow.destinationPort)],
  ], flags);
}

/** What order a rule of `LIST_RULES` has, which lists those of multicast as well: as IPv6's here. */
export function parseRule({ body }: NetlinkMessage): Pick<Rule, "family" | "priority"> {
  return {
    family: body[0] === AF_INET ? "ipv4" : "ipv6",
    priority: numberOf(parseAttributes(body, 12), FRA_PRIORITY) ?? 0,
  };
}

/** struct fib_rule_port_range of one port. */
function portRange(port: number): Uint8Array {
  return concat([u16(port), u16(port)]);
}

/** For `NetlinkSocket.dump`. */
export const LIST_RULES = request("list rules", RTM_GETRULE, new Uint8Array(12));
export const LIST_LINKS = request("list links", RTM_GETLINK, new Uint8Array(16));
export const LIST_ADDRESSES = request("list addresses", RTM_GETADDR, new Uint8Array(8));
export const LIST_ROUTES = request("list routes", RTM_GETROUTE, new Uint8Array(12));

export interface FoundLink {
  index: number;
  name: string;
  flags: number;
  mtu: number;
  mac: Uint8Array;
  kind: string;
  /** Index of the bridge that it is a port of; 0 where it is none's. */
  master: number;
}

/** One message of `LIST_LINKS`. */
export function parseLink({ body }: NetlinkMessage): FoundLink {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const attributes = parseAttributes(body, 16);
  const info = attributes.get(IFLA_LINKINFO);
  const kind = info && parseAttributes(info).get(IFLA_INFO_KIND);
  return {
    index: view.getInt32(4, true),
    name: textOf(attributes.get(IFLA_IFNAME) ?? new Uint8Array()),
    flags: view.getUint32(8, true),
    mtu: numberOf(attributes, IFLA_MTU) ?? 0,
    mac: attributes.get(IFLA_ADDRESS) ?? new Uint8Array(),
    kind: kind ? textOf(kind) : "",
    master: numberOf(attributes, IFLA_MASTER) ?? 0,
  };
}

/** An attribute that is a u32. */
function numberOf(attributes: ReadonlyMap<number, Uint8Array>, type: number): number | undefined {
  const bytes = attributes.get(type);
  return bytes && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

/** One message of `LIST_ADDRESSES`. */
export function parseAddressMessage({ body }: NetlinkMessage): LinkAddress {
  const attributes = parseAttributes(body, 8);
  return {
    link: new DataView(body.buffer, body.byteOffset).getUint32(4, true),
    address: attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS) ?? new Uint8Array(),
    prefix: body[1]!,
  };
}

function familyOf(address: Uint8Array): number {
  return address.length === 4 ? AF_INET : AF_INET6;
}

function isLoopbackAddress(address: Uint8Array): boolean {
  return address.length === 4 && address[0] === 127;
}

function broadcast(address: Uint8Array, prefix: number): Uint8Array {
  const bits = new DataView(address.slice().buffer).getUint32(0) |
    (prefix === 0 ? ~0 : (1 << 32 - prefix) - 1);
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, bits >>> 0);
  return bytes;
}

/** For errors only. */
function showBytes(address: Uint8Array): string {
  if (address.length === 4) return address.join(".");
  return address.toHex().replace(/(.{4})(?=.)/g, "$1:");
}

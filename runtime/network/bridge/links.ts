/**
 * The bridges in their network namespace, and the containers' interfaces on them: rtnetlink requests, no rules of a
 * packet filter.
 *
 * Networks are kept apart by where the namespace looks for routes, which is by where a packet comes from:
 *
 * ```
 *   100  from the uplink, or made here   table local       what is addressed to the namespace
 *   300  from a bridge, to its gateway   table local
 *   500  to a gateway                    unreachable
 *   900  else                            table local
 *  1000  from the uplink, or made here   table main        every bridge's subnet
 *  2000  else, from a bridge             table APART       every bridge's subnet is unreachable
 *  3000  from a subnet with a way out,   table OUT         default: the uplink
 *        by its own bridge
 *  4000  else                            unreachable
 * ```
 *
 * Within a subnet packets are not routed. The stack behind the uplink, which sees what leaves, takes it from there.
 *
 * @see ip-rule(8)
 */

import { EEXIST, ENODEV, ENOENT, EOPNOTSUPP, ESRCH, isErrno } from "../../../ffi/errno.ts";
import { addBridge, addVeth, setIsolated } from "../../../ffi/link_kinds.ts";
import { type NetlinkRequest, NetlinkSocket } from "../../../ffi/netlink.ts";
import {
  addAddress,
  addRoute,
  addRule,
  deleteLink,
  deleteRoute,
  deleteRule,
  LIST_LINKS,
  parseLink,
  type Route,
  setLink,
} from "../../../ffi/rtnetlink.ts";
import { RT_TABLE_LOCAL, RT_TABLE_MAIN } from "../../../ffi/constants/rtnetlink.ts";
import { SkiffError } from "../../errors.ts";
import { mustParse } from "../stack/addresses.ts";
import { DEFAULT_METRIC } from "../default_route.ts";
import type { BridgeNetwork, NetworkAttachment } from "../plan.ts";
import type { Links } from "./ground.ts";
import { familyOf, parseMac, parsePrefix } from "./prefix.ts";

export const UPLINK = "uplink";
/** Of the uplink, and of bridges unless the user says otherwise: nothing behind it is smaller. */
export const UPLINK_MTU = 65520;

const TABLE_APART = 1001, TABLE_OUT = 1002;
const LOCAL_FROM_HERE = 100, OWN_GATEWAY = 300, GATEWAY = 500, LOCAL = 900;
const FROM_HERE = 1000, APART = 2000, OUT = 3000, NOWHERE = 4000;
const FAMILIES = ["ipv4", "ipv6"] as const;

/** The rules of a namespace that has no bridges yet. */
export function namespaceRules(family: typeof FAMILIES[number], uplink: number): NetlinkRequest[] {
  return [
    addRule({ family, incoming: UPLINK, table: RT_TABLE_LOCAL, priority: LOCAL_FROM_HERE }),
    addRule({ family, incoming: "lo", table: RT_TABLE_LOCAL, priority: LOCAL_FROM_HERE }),
    addRule({ family, table: RT_TABLE_LOCAL, priority: LOCAL }),
    // the kernel's, which stands before all others
    deleteRule({ family, table: RT_TABLE_LOCAL, priority: 0 }),
    addRule({ family, incoming: UPLINK, table: RT_TABLE_MAIN, priority: FROM_HERE }),
    addRule({ family, incoming: "lo", table: RT_TABLE_MAIN, priority: FROM_HERE }),
    addRule({ family, table: TABLE_APART, priority: APART }),
    addRule({ family, priority: NOWHERE }),
    addRoute({ family, link: uplink, table: TABLE_OUT }),
  ];
}

/** What a network's subnets need beside its bridge's addresses. */
function subnetRequests(network: BridgeNetwork, add: boolean): NetlinkRequest[] {
  const [route, rule] = add ? [addRoute, addRule] : [deleteRoute, deleteRule];
  const incoming = network.interface;
  return network.subnets.flatMap(({ subnet, gateway }) => {
    const from = parsePrefix(subnet);
    const family = familyOf(from.address);
    const to = gateway && { address: mustParse(gateway), prefix: 8 * from.address.length };
    return [
      ...(to
        ? [
          rule({ family, incoming, to, table: RT_TABLE_LOCAL, priority: OWN_GATEWAY }),
          rule({ family, to, priority: GATEWAY }),
        ]
        : []),
      route({ family, destination: from, unreachable: true, table: TABLE_APART }),
      ...(network.internal ? [] : [rule({ ...{ family, from, incoming }, table: TABLE_OUT, priority: OUT })]),
    ];
  });
}

/** A container's port of a bridge is named after both, the first digits of their ids, unless the user says otherwise. */
export function portName(containerId: string, { hostInterface, network }: NetworkAttachment): string {
  return hostInterface ?? `v${containerId.slice(0, 7)}${network.id.slice(0, 7)}`;
}

export class BridgeLinks implements Links {
  /**
   * @param netlink a socket of the bridges' namespace
   * @param mtu of networks that have none of their own
   */
  constructor(protected readonly netlink: NetlinkSocket, protected readonly mtu: number = UPLINK_MTU) {}

  /** Makes the bridge where it is missing, with the gateways' addresses and the subnets' rules; gives its index. */
  openBridge(network: BridgeNetwork): number {
    const found = this.netlink.indexOf(network.interface);
    if (found !== undefined) return found;
    const mac = Uint8Array.of(0x02, ...bytesOfId(network.id));
    const { interface: name } = network;
    this.makeBridge(network, { mac, up: true });
    const link = this.netlink.indexOf(name)!;
    try {
      this.netlink.perform([
        ...network.subnets.flatMap(({ subnet, gateway }) =>
          gateway
            ? [addAddress({ link, address: mustParse(gateway), prefix: parsePrefix(subnet).prefix })]
            : []
        ),
        ...subnetRequests(network, true),
      ]);
    } catch (error) {
      this.closeBridge(network);
      throw error;
    }
    return link;
  }

  protected makeBridge(network: BridgeNetwork, settings: { mac: Uint8Array; up?: boolean }): void {
    const { interface: name, vlan } = network;
    try {
      this.netlink.perform([addBridge({ name, vlan, mtu: network.mtu || this.mtu, ...settings })]);
    } catch (error) {
      if (vlan === 0 || !isErrno(error, EOPNOTSUPP)) throw error;
      // CONFIG_BRIDGE_VLAN_FILTERING
      throw new SkiffError(`join network ${network.name}: bridges of this kernel know no VLANs`, {
        cause: error,
      });
    }
  }

  /** Takes the bridge away with all that belongs to it; what is not there is no fault. */
  closeBridge(network: BridgeNetwork): void {
    for (const request of [deleteLink(network.interface), ...subnetRequests(network, false)]) {
      this.attempt(request);
    }
  }

  /**
   * Puts a container on a network: a pair of interfaces, one a port of the bridge, the other with its addresses and
   * routes in the container's namespace. Where it is there already nothing changes. Gives the bridge's index.
   */
  connect(containerId: string, place: NetworkAttachment, container: ContainerSide): number {
    const { network } = place;
    const bridge = this.openBridge(network);
    const mtu = network.mtu || this.mtu;
    const name = portName(containerId, place);
    // nobody has given it an address to make one of: the kernel's
    const mac = place.mac === "" ? undefined : parseMac(place.mac);
    const pair = addVeth(
      { name, master: bridge, mtu, up: true },
      { name: place.interface, netns: container.netns, mac, mtu },
    );
    try {
      this.netlink.perform(network.areMembersApart ? [pair, setIsolated(name)] : [pair]);
    } catch (error) {
      // it outlived who made it
      if (isErrno(error, EEXIST) && this.netlink.indexOf(name) !== undefined) return bridge;
      throw error;
    }
    try {
      configureInterface(container.netlink, place);
    } catch (error) {
      this.attempt(deleteLink(name));
      throw error;
    }
    return bridge;
  }

  disconnect(containerId: string, place: NetworkAttachment): void {
    this.attempt(deleteLink(portName(containerId, place)));
  }

  /** The namespace is the bridges' alone. */
  removeStrangers(networks: readonly BridgeNetwork[], ports: ReadonlySet<string>): void {
    const bridges = new Set(networks.map((network) => network.interface));
    for (const { name, kind } of this.netlink.dump(LIST_LINKS).map(parseLink)) {
      if (name === UPLINK || ports.has(name) || bridges.has(name)) continue;
      if (kind === "veth" || kind === "bridge") this.attempt(deleteLink(name));
    }
  }

  /** That it is so already is no fault. */
  protected attempt(request: NetlinkRequest): void {
    try {
      this.netlink.perform([request]);
    } catch (error) {
      if (![ENODEV, ENOENT, ESRCH].some((code) => isErrno(error, code))) throw error;
    }
  }
}

/** A container's network namespace, from outside. */
export interface ContainerSide {
  netns: number;
  /** A socket of that namespace. */
  netlink: NetlinkSocket;
}

/** Gives a container's interface its addresses and routes. */
export function configureInterface(netlink: NetlinkSocket, place: NetworkAttachment): void {
  const link = netlink.indexOf(place.interface)!;
  netlink.perform([
    setLink(link, { up: true }),
    ...place.addresses.map(({ address, prefix }) =>
      addAddress({ link, address: mustParse(address), prefix })
    ),
    ...defaultRoutes(place, link).map(addRoute),
    ...place.network.routes.map(({ destination, gateway, metric = DEFAULT_METRIC }) => {
      const to = parsePrefix(destination);
      const via = mustParse(gateway);
      return addRoute({ family: familyOf(via), destination: to, gateway: via, link, metric });
    }),
  ]);
}

function defaultRoutes(place: NetworkAttachment, link: number): Route[] {
  return place.gateways.map((text) => {
    const gateway = mustParse(text);
    return { family: familyOf(gateway), gateway, link, metric: place.network.metric ?? DEFAULT_METRIC };
  });
}

/** Default routes of a container that has lost those of another network. */
export function takeOverDefault(container: ContainerSide, place: NetworkAttachment): void {
  const link = container.netlink.indexOf(place.interface);
  if (link !== undefined) container.netlink.perform(defaultRoutes(place, link).map(addRoute));
}

/** Five bytes that are the network's, for an address that does not change with the ports. */
function bytesOfId(id: string): number[] {
  return Array.from({ length: 5 }, (_, index) => parseInt(id.slice(2 * index, 2 * index + 2), 16));
}

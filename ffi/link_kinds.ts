/** Links that are more than a name: veth pairs, bridges, macvlan and ipvlan. @see ip-link(8), types */

import { type Attribute, encodeAttributes, type NetlinkRequest, u16 } from "./netlink.ts";
import { addLink, ifinfomsg, type LinkId, type LinkSettings, setLink } from "./rtnetlink.ts";
import {
  IFLA_ADDRESS,
  IFLA_IFNAME,
  IFLA_INFO_SLAVE_DATA,
  IFLA_INFO_SLAVE_KIND,
  IFLA_LINKINFO,
  IFLA_MTU,
  IFLA_NET_NS_FD,
} from "./constants/rtnetlink.ts";
import {
  IFLA_BR_MCAST_SNOOPING,
  IFLA_BR_VLAN_DEFAULT_PVID,
  IFLA_BR_VLAN_FILTERING,
  IFLA_BRPORT_ISOLATED,
  IFLA_BRPORT_MODE,
  IFLA_IPVLAN_MODE,
  IFLA_MACVLAN_MODE,
  IPVLAN_MODE_L2,
  IPVLAN_MODE_L3,
  IPVLAN_MODE_L3S,
  MACVLAN_MODE_BRIDGE,
  MACVLAN_MODE_PASSTHRU,
  MACVLAN_MODE_PRIVATE,
  MACVLAN_MODE_VEPA,
  VETH_INFO_PEER,
} from "./constants/link_kinds.ts";

/** The other end of a veth pair, made in the network namespace that `netns` is a descriptor of. */
export interface VethPeer {
  name: string;
  netns: number;
  mac?: Uint8Array;
  mtu?: number;
}

export function addVeth(end: LinkSettings & { name: string }, peer: VethPeer): NetlinkRequest {
  const attributes = encodeAttributes([
    [IFLA_IFNAME, peer.name],
    [IFLA_MTU, peer.mtu],
    [IFLA_ADDRESS, peer.mac],
    [IFLA_NET_NS_FD, peer.netns],
  ]);
  const data: Attribute[] = [[VETH_INFO_PEER, join(ifinfomsg(), attributes)]];
  return addLink({ ...end, kind: "veth", data });
}

export interface BridgeSettings extends LinkSettings {
  name: string;
  /** Its ports are in this VLAN; 0 is none. */
  vlan: number;
}

export function addBridge({ vlan, ...settings }: BridgeSettings): NetlinkRequest {
  return addLink({
    ...settings,
    kind: "bridge",
    data: [
      // nobody asks for memberships on a bridge of containers, whose first multicasts would be lost
      [IFLA_BR_MCAST_SNOOPING, Uint8Array.of(0)],
      [IFLA_BR_VLAN_FILTERING, vlan === 0 ? undefined : Uint8Array.of(1)],
      [IFLA_BR_VLAN_DEFAULT_PVID, vlan === 0 ? undefined : u16(vlan)],
    ],
  });
}

/** Lets a port of a bridge have back what came by it: what a packet filter has redirected on the way. */
export function setHairpin(port: LinkId): NetlinkRequest {
  return setPortFlag(port, IFLA_BRPORT_MODE);
}

/** Lets a port of a bridge send to the bridge itself, and to no other port of this kind. @see bridge(8), isolated */
export function setIsolated(port: LinkId): NetlinkRequest {
  return setPortFlag(port, IFLA_BRPORT_ISOLATED);
}

function setPortFlag(port: LinkId, flag: number): NetlinkRequest {
  return setLink(port, {}, [
    [IFLA_LINKINFO, [
      [IFLA_INFO_SLAVE_KIND, "bridge"],
      [IFLA_INFO_SLAVE_DATA, [[flag, Uint8Array.of(1)]]],
    ]],
  ]);
}

export const MACVLAN_MODES: Record<string, number> = {
  private: MACVLAN_MODE_PRIVATE,
  vepa: MACVLAN_MODE_VEPA,
  bridge: MACVLAN_MODE_BRIDGE,
  passthru: MACVLAN_MODE_PASSTHRU,
};

export const IPVLAN_MODES: Record<string, number> = {
  l2: IPVLAN_MODE_L2,
  l3: IPVLAN_MODE_L3,
  l3s: IPVLAN_MODE_L3S,
};

export interface ChildLink extends LinkSettings {
  name: string;
  /** The link of the host that it hangs on. */
  parent: number;
  mode: string;
}

export function addMacvlan({ mode, ...settings }: ChildLink): NetlinkRequest {
  return addLink({ ...settings, kind: "macvlan", data: [[IFLA_MACVLAN_MODE, MACVLAN_MODES[mode]]] });
}

export function addIpvlan({ mode, ...settings }: ChildLink): NetlinkRequest {
  return addLink({ ...settings, kind: "ipvlan", data: [[IFLA_IPVLAN_MODE, u16(IPVLAN_MODES[mode]!)]] });
}

function join(one: Uint8Array, other: Uint8Array): Uint8Array {
  const whole = new Uint8Array(one.length + other.length);
  whole.set(one);
  whole.set(other, one.length);
  return whole;
}

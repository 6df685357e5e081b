/**
 * Bridges that are interfaces of this machine. Others make interfaces here as well: what is touched is what bears the
 * mark of this data folder, which is in the address that a bridge is born with.
 */

import { EEXIST, isErrno } from "../../../ffi/errno.ts";
import { setHairpin } from "../../../ffi/link_kinds.ts";
import type { NetlinkSocket } from "../../../ffi/netlink.ts";
import {
  addAddress,
  deleteLink,
  type FoundLink,
  LIST_LINKS,
  parseLink,
  setLink,
} from "../../../ffi/rtnetlink.ts";
import { SkiffError } from "../../errors.ts";
import { mustParse, sameAddress } from "../stack/addresses.ts";
import type { BridgeNetwork, NetworkAttachment } from "../plan.ts";
import { BridgeLinks, type ContainerSide, portName } from "./links.ts";
import { parsePrefix } from "./prefix.ts";

const ETHERNET_MTU = 1500;

/** What is needed to find its bridge. */
type MarkedNetwork = Pick<BridgeNetwork, "id" | "interface">;

export class HostLinks extends BridgeLinks {
  readonly #mark: number;
  /** Index by name of what was seen to be ours. */
  readonly #bridges = new Map<string, number>();

  /** Those of a holder before. */
  #inherited: readonly MarkedNetwork[];

  /** @param mark of the data folder, 32 bits */
  constructor(netlink: NetlinkSocket, mark: number, inherited: readonly MarkedNetwork[] = []) {
    super(netlink, defaultMtu(netlink));
    this.#mark = mark;
    this.#inherited = inherited;
  }

  override openBridge(network: BridgeNetwork): number {
    const { interface: name } = network;
    const index = this.netlink.indexOf(name);
    if (index !== undefined && this.#bridges.get(name) === index) return index;
    const found = index === undefined ? undefined : this.#links().find((link) => link.name === name);
    if (found && !this.#isOurs(found, network)) throw taken(network, name);
    try {
      if (!found) this.makeBridge(network, { mac: Uint8Array.from(this.#addressOf(network)) });
      const link = this.netlink.indexOf(name)!;
      // before it is up: what hangs on it is nobody to tell this machine its routes
      for (const [file, value] of settingsOf(network)) writeSetting(file.replace("*", () => name), value);
      this.netlink.perform([
        setLink(link, { up: true }),
        ...network.subnets.flatMap(({ subnet, gateway }) =>
          gateway
            ? [addAddress({ link, address: mustParse(gateway), prefix: parsePrefix(subnet).prefix })]
            : []
        ),
      ]);
      this.#bridges.set(name, link);
      return link;
    } catch (error) {
      if (isErrno(error, EEXIST)) throw taken(network, name);
      this.closeBridge(network);
      throw error;
    }
  }

  override closeBridge(network: MarkedNetwork): void {
    this.#bridges.delete(network.interface);
    const found = this.#links().find(({ name }) => name === network.interface);
    if (found && this.#isOurs(found, network)) this.attempt(deleteLink(found.index));
  }

  override connect(containerId: string, place: NetworkAttachment, container: ContainerSide): number {
    const bridge = this.openBridge(place.network);
    const name = portName(containerId, place);
    if (this.netlink.indexOf(name) !== undefined && this.#portOf(name, bridge) === undefined) {
      throw taken(place.network, name);
    }
    super.connect(containerId, place, container);
    // to its own published port, where br_netfilter redirects on the bridge already
    this.attempt(setHairpin(name));
    return bridge;
  }

  override disconnect(containerId: string, place: NetworkAttachment): void {
    const bridge = this.#bridges.get(place.network.interface);
    const port = bridge && this.#portOf(portName(containerId, place), bridge);
    if (port) this.attempt(deleteLink(port.index));
  }

  override removeStrangers(networks: readonly BridgeNetwork[], ports: ReadonlySet<string>): void {
    const used = new Set(networks.map(({ id }) => id));
    for (const former of this.#inherited) if (!used.has(former.id)) this.closeBridge(former);
    this.#inherited = [];
    const bridges = new Set(this.#bridges.values());
    for (const { name, kind, master, index } of this.#links()) {
      if (kind === "veth" && bridges.has(master) && !ports.has(name)) this.attempt(deleteLink(index));
    }
  }

  /** Names of the bridges that others have made. */
  otherBridges(): string[] {
    const own = new Set([...this.#bridges.keys(), ...this.#inherited.map((network) => network.interface)]);
    return this.#links().filter(({ name, kind }) => kind === "bridge" && !own.has(name)).map(({ name }) =>
      name
    );
  }

  #links(): FoundLink[] {
    return this.netlink.dump(LIST_LINKS).map(parseLink);
  }

  #portOf(name: string, bridge: number): FoundLink | undefined {
    return this.#links().find((link) => link.name === name && link.kind === "veth" && link.master === bridge);
  }

  #isOurs({ kind, mac }: FoundLink, network: Pick<BridgeNetwork, "id">): boolean {
    return kind === "bridge" && sameAddress(mac, Uint8Array.from(this.#addressOf(network)));
  }

  /** Locally administered; four bytes tell the data folder as well as the network, which two of them may share. */
  #addressOf({ id }: Pick<BridgeNetwork, "id">): number[] {
    const of = parseInt(id.slice(2, 10), 16) ^ this.#mark;
    return [0x02, parseInt(id.slice(0, 2), 16), of >>> 24, of >>> 16 & 255, of >>> 8 & 255, of & 255];
  }
}

function taken(network: BridgeNetwork, name: string): SkiffError {
  return new SkiffError(`join network ${network.name}: there is an interface ${name} already`);
}

/** Of a bridge, below /proc/sys/net. @see Documentation/networking/ip-sysctl.rst */
function settingsOf({ subnets }: BridgeNetwork): [file: string, value: string][] {
  const hasIpv6 = subnets.some(({ subnet }) => subnet.includes(":"));
  return [
    ["ipv4/conf/*/accept_redirects", "0"],
    ["ipv4/conf/*/send_redirects", "0"],
    ["ipv4/conf/*/route_localnet", "0"],
    ["ipv6/conf/*/accept_ra", "0"],
    ["ipv6/conf/*/accept_redirects", "0"],
    ["ipv6/conf/*/disable_ipv6", hasIpv6 ? "0" : "1"],
  ];
}

/** A kernel without IPv6 has no files of it. */
function writeSetting(file: string, value: string): void {
  try {
    Deno.writeTextFileSync(`/proc/sys/net/${file}`, value);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** That of the interface by which the machine reaches the world: what is larger has to be cut there. */
function defaultMtu(netlink: NetlinkSocket): number {
  const routes = Deno.readTextFileSync("/proc/self/net/route").split("\n").slice(1).map((line) =>
    line.split("\t")
  );
  const way = routes.find(([, destination, , , , , , mask]) =>
    destination === "00000000" && mask === "00000000"
  );
  const link = way && netlink.dump(LIST_LINKS).map(parseLink).find(({ name }) => name === way[0]);
  return link?.mtu || ETHERNET_MTU;
}

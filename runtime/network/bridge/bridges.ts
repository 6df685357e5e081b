/** All bridges of a user and the containers on them: interfaces, names and published ports, kept in step. */

import { close } from "../../../ffi/file.ts";
import { NetlinkSocket } from "../../../ffi/netlink.ts";
import type { BridgeChange, BridgeNetwork, BridgePlan, NetworkAttachment, PublishedPort } from "../plan.ts";
import { SkiffError } from "../../errors.ts";
import { gatewayOut, leadingOut } from "../default_route.ts";
import { whyNoBridgeName } from "../interface_name.ts";
import type { Guest, Links, Outside } from "./ground.ts";
import { type ContainerSide, portName, takeOverDefault } from "./links.ts";
import type { NameTable } from "./names.ts";

export interface Container {
  plan: BridgePlan;
  netns: number;
  netlink: number;
  ports: { port: PublishedPort; listener: number }[];
}

export class Bridges {
  readonly #links: Links;
  readonly #names: NameTable;
  readonly #outside: Outside;
  /** In the order they came. */
  readonly #containers = new Map<Container, ContainerSide>();

  constructor(links: Links, names: NameTable, outside: Outside) {
    this.#links = links;
    this.#names = names;
    this.#outside = outside;
  }

  /** Owns the container's descriptors from here on. Throws what could not be made, having made nothing. */
  add(container: Container): void {
    const side = { netns: container.netns, netlink: new NetlinkSocket(container.netlink) };
    try {
      for (const place of container.plan.attachments) this.#checkNames(container.plan, place);
    } catch (error) {
      close(container.netns);
      close(container.netlink);
      throw error;
    }
    this.#containers.set(container, side);
    try {
      this.#updateNetworks();
      for (const place of container.plan.attachments) this.#link(container, place);
      this.#names.set(container.plan);
      for (const { port } of container.ports) this.#publish(container, port);
      this.#outside.settle();
    } catch (error) {
      this.remove(container);
      throw error;
    }
  }

  /** The container has ended, or its monitor. */
  remove(container: Container): void {
    if (!this.#containers.delete(container)) return;
    this.#names.delete(container.plan.id);
    for (const { port, listener } of container.ports.splice(0)) {
      this.#outside.unpublish(port);
      close(listener);
    }
    try {
      for (const place of container.plan.attachments) this.#disconnect(container, place);
      this.#updateNetworks();
      this.#outside.settle();
    } finally {
      close(container.netns);
      close(container.netlink);
    }
  }

  publish(container: Container, ports: readonly PublishedPort[]): void {
    for (const port of ports) this.#publish(container, port);
    this.#outside.settle();
  }

  unpublish(container: Container, port: PublishedPort): void {
    const at = container.ports.findIndex((one) => samePort(one.port, port));
    if (at === -1) return;
    this.#outside.unpublish(port);
    close(container.ports.splice(at, 1)[0]!.listener);
    this.#outside.settle();
  }

  /** Whether it concerns this container, whose plan is another then. Throws what could not be changed. */
  change(container: Container, change: BridgeChange): boolean {
    const { plan } = container;
    switch (change.kind) {
      case "connect":
        if (change.containerId !== plan.id) return false;
        this.#connect(container, change.attachment);
        break;
      case "disconnect": {
        const place = plan.attachments.find(({ network }) => network.id === change.networkId);
        if (change.containerId !== plan.id) return false;
        if (place) this.#leave(container, place);
        break;
      }
      case "nameservers": {
        const places = plan.attachments.filter(({ network }) => network.id === change.networkId);
        for (const { network } of places) network.nameservers = change.nameservers;
        return places.length > 0;
      }
      case "reload":
        if (change.plan.id !== plan.id) return false;
        for (const place of plan.attachments.splice(0)) this.#disconnect(container, place);
        plan.name = change.plan.name;
        for (const place of change.plan.attachments) this.#connect(container, place);
    }
    this.#names.set(plan);
    this.#updateNetworks();
    this.#publishAgain(container);
    this.#outside.settle(change.kind === "reload");
    return true;
  }

  /** Bridges and ports that no container has: of those that ended while nobody held the bridges. */
  removeStrangers(): void {
    const ports = [...this.#containers.keys()].flatMap(({ plan }) =>
      plan.attachments.map((place) => portName(plan.id, place))
    );
    this.#links.removeStrangers(this.#networks(), new Set(ports));
    this.#outside.forgetFormer?.();
    this.#updateNetworks();
    this.#outside.settle();
  }

  #connect(container: Container, place: NetworkAttachment): void {
    const { plan } = container;
    const former = plan.attachments.find(({ network }) => network.id === place.network.id);
    if (former) this.#leave(container, former);
    this.#checkNames(plan, place);
    plan.attachments.push(place);
    try {
      this.#updateNetworks();
      this.#link(container, place);
    } catch (error) {
      plan.attachments.splice(plan.attachments.indexOf(place), 1);
      this.#disconnect(container, place);
      throw error;
    }
  }

  #link(container: Container, place: NetworkAttachment): void {
    const bridge = this.#links.connect(container.plan.id, place, this.#containers.get(container)!);
    this.#names.setBridge(place.network.id, bridge);
  }

  /** An interface that is another's would be used, and removed with this one's place. */
  #checkNames(plan: BridgePlan, { network, hostInterface }: NetworkAttachment): void {
    const plans = new Set([...this.#containers.keys()].map((one) => one.plan)).add(plan);
    const used = [...plans].flatMap(({ id, attachments }) =>
      attachments.filter((one) => id !== plan.id || one.network.id !== network.id).flatMap((one) => [
        portName(id, one),
        ...one.network.id === network.id ? [] : [one.network.interface],
      ])
    );
    const names = [network.interface, ...hostInterface === undefined ? [] : [hostInterface]];
    const taken = names.find((name) => whyNoBridgeName(name) !== undefined || used.includes(name)) ??
      (hostInterface === network.interface ? hostInterface : undefined);
    if (taken === undefined) return;
    throw new SkiffError(`join network ${network.name}: there is an interface ${taken} already`);
  }

  /** Where the default routes go with the network, another takes them over. */
  #leave(container: Container, place: NetworkAttachment): void {
    const { plan } = container;
    plan.attachments = plan.attachments.filter((one) => one !== place);
    this.#disconnect(container, place);
    // of each IP version by itself: one network may lead out by IPv4, another by IPv6
    for (const lost of place.gateways) {
      const isIpv6 = lost.includes(":");
      const isSame = (gateway: string) => gateway.includes(":") === isIpv6;
      if (plan.attachments.some(({ gateways }) => gateways.some(isSame))) continue;
      const heir = leadingOut(plan.attachments, isIpv6);
      if (!heir) continue;
      const gateways = [gatewayOut(heir.network, isIpv6)!];
      heir.gateways = [...heir.gateways, ...gateways];
      takeOverDefault(this.#containers.get(container)!, { ...heir, gateways });
    }
  }

  #disconnect({ plan }: Container, place: NetworkAttachment): void {
    this.#links.disconnect(plan.id, place);
    const isUsed = this.#networks().some(({ id }) => id === place.network.id);
    if (isUsed) return;
    this.#links.closeBridge(place.network);
    this.#names.deleteBridge(place.network.id);
  }

  #publish(container: Container, port: PublishedPort): void {
    const held = container.ports.find((one) => samePort(one.port, port));
    const guest = guestOf(container.plan);
    if (held && guest) this.#outside.publish(port, held.listener, guest);
  }

  /** Its ports lead to its address on the network with the default routes, which may be another now. */
  #publishAgain(container: Container): void {
    for (const { port } of container.ports) {
      this.#outside.unpublish(port);
      this.#publish(container, port);
    }
  }

  #updateNetworks(): void {
    this.#outside.setNetworks(this.#networks());
  }

  #networks(): BridgeNetwork[] {
    return [...this.#containers.keys()].flatMap(({ plan }) => plan.attachments.map(({ network }) => network));
  }
}

/** Answers have to leave by the network that the question came by. */
function guestOf({ attachments }: BridgePlan): Guest | undefined {
  const leading = attachments.filter(({ gateways }) => gateways.length > 0);
  const aside = attachments.find(({ network }) => !network.internal);
  if (leading.length === 0 && !aside) return undefined;
  const addressOf = (isIpv6: boolean) => {
    const isOf = (text: string) => text.includes(":") === isIpv6;
    const place = leading.length === 0
      ? aside
      : leadingOut(leading.filter(({ gateways }) => gateways.some(isOf)), isIpv6);
    return place?.addresses.find(({ address }) => isOf(address))?.address;
  };
  return { ipv4: addressOf(false), ipv6: addressOf(true) };
}

export function samePort(one: PublishedPort, other: PublishedPort): boolean {
  return one.protocol === other.protocol && one.hostAddress === other.hostAddress &&
    one.hostPort === other.hostPort && one.containerPort === other.containerPort;
}

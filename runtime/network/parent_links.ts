/**
 * A container on networks of an interface of this machine (macvlan, ipvlan), as root: its interfaces hang on the parent,
 * and go with the container's network namespace. Nobody has to serve them.
 *
 * @see ip-link(8), macvlan and ipvlan
 */

import { addIpvlan, addMacvlan } from "../../ffi/link_kinds.ts";
import { NetlinkSocket } from "../../ffi/netlink.ts";
import { close } from "../../ffi/file.ts";
import { HostError, SkiffError } from "../errors.ts";
import { configureInterface } from "./bridge/links.ts";
import { parseMac } from "./bridge/prefix.ts";
import type { MonitorNetwork } from "./monitor_network.ts";
import type { NetworkAttachment, NetworkPlan } from "./plan.ts";

export class ParentLinks implements MonitorNetwork {
  readonly #places: readonly NetworkAttachment[];
  #fault: unknown;

  constructor(plan: Extract<NetworkPlan, { kind: "parent" }>) {
    this.#places = plan.attachments;
  }

  take(descriptor: number): void {
    close(descriptor);
  }

  takeNamespace(netns: number, netlink: number): void {
    using inside = new NetlinkSocket(netlink);
    try {
      // the monitor lives in the machine's own network namespace
      using outside = new NetlinkSocket();
      for (const place of this.#places) {
        outside.perform([linkOf(place, outside, netns)]);
        configureInterface(inside, place);
      }
    } catch (error) {
      this.#fault = error instanceof SkiffError
        ? error
        : new HostError(`join network: ${(error as Error).message}`, { cause: error });
    } finally {
      close(netns);
    }
  }

  letStart(go: () => void, fail: (error: unknown) => void): void {
    if (this.#fault === undefined) go();
    else fail(this.#fault);
  }

  /** Refused before: the container has addresses of its own in the parent's network. */
  publish(_port: unknown, listener: number): void {
    close(listener);
  }

  unpublish(): void {}

  end(): void {}
}

function linkOf({ network, ...place }: NetworkAttachment, outside: NetlinkSocket, netns: number) {
  const parent = outside.indexOf(network.interface);
  if (parent === undefined) {
    throw new HostError(`join network ${network.name}: parent interface ${network.interface} does not exist`);
  }
  const settings = { name: place.interface, parent, netns, ...(network.mtu > 0 && { mtu: network.mtu }) };
  return network.driver === "ipvlan" ? addIpvlan({ ...settings, mode: network.mode ?? "l2" }) : addMacvlan({
    ...settings,
    mode: network.mode ?? "bridge",
    ...(place.mac !== "" && { mac: parseMac(place.mac) }),
  });
}

/** Where bridges are, and what leads from them into the world: what the holder needs of a namespace. */

import type { BridgeNetwork, NetworkAttachment, PublishedPort } from "../plan.ts";
import type { ProcessLoop } from "../monitor_network.ts";
import type { Bridges } from "./bridges.ts";
import type { ContainerSide } from "./links.ts";

/** Where a container is on a network that leads out. */
export interface Guest {
  ipv4?: string;
  ipv6?: string;
}

/** How containers reach the world, and the world their ports. */
export interface Outside {
  /** All networks of containers from now on: said before their bridges are made, and after they are gone. */
  setNetworks(networks: readonly BridgeNetwork[]): void;
  /** `listener` stays the caller's. */
  publish(port: PublishedPort, listener: number, guest: Guest): void;
  unpublish(port: PublishedPort): void;
  /** Bridges, networks and ports are as they have been said. `isNew`: also where nothing seems to have changed. */
  settle(isNew?: boolean): void;
  /** What a holder before has made, and nobody has said again, is nobody's. */
  forgetFormer?(): void;
}

/** The bridges and the containers' interfaces on them. */
export interface Links {
  /** Gives the bridge's index. */
  connect(containerId: string, place: NetworkAttachment, container: ContainerSide): number;
  disconnect(containerId: string, place: NetworkAttachment): void;
  closeBridge(network: BridgeNetwork): void;
  /** Bridges and ports that are nobody's: of those that ended while nobody held the bridges. */
  removeStrangers(networks: readonly BridgeNetwork[], ports: ReadonlySet<string>): void;
}

/** What the holder lends. */
export interface HolderProcess {
  loop: ProcessLoop;
  onFault(error: unknown): void;
  onLull(): void;
}

/** A process that holds bridges there. */
export interface BridgeGround {
  /** Descriptors of what is made for the first container, each kept by every monitor as well. */
  make(): number[];
  /** Takes those that were made, by this process or one before; undefined where they cannot be these. */
  open(fds: readonly number[], process: HolderProcess): Bridges | undefined;
  /** Nobody keeps anything any more. */
  end?(): void;
}

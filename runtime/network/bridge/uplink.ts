/** The user-mode stack behind the bridges: how their containers reach the world, and the world their ports. */

import { F_DUPFD_CLOEXEC } from "../../../ffi/constants/fcntl.ts";
import { fcntl } from "../../../ffi/file.ts";
import { openDatagrams, openStack } from "../lazy_code.ts";
import type { BridgeNetwork, PublishedPort, StackPlan } from "../plan.ts";
import type { Stack } from "../stack/stack.ts";
import type { Guest, HolderProcess, Outside } from "./ground.ts";
import { UPLINK_MTU } from "./links.ts";
import { serveNames } from "./name_server.ts";
import type { NameTable } from "./names.ts";
import type { BridgeNamespace } from "./namespace.ts";

export interface UplinkOptions extends HolderProcess {
  namespace: BridgeNamespace;
  /** Of the containers, for who asks the nameserver of a bridge. */
  names: NameTable;
}

/**
 * Of bridges that are still to come. The gateways are what a container sees of a client whose address it cannot answer to;
 * no subnet of anybody's is there.
 */
const PLAN: StackPlan = {
  mtu: UPLINK_MTU,
  guests: [],
  gateways: ["169.254.1.2", "fd73:6b69:6666::2"],
  nameservers: [],
  allowHostLoopback: false,
  dns: { resolvConf: "/etc/resolv.conf" },
};

export class Uplink implements Outside {
  readonly #stack: Stack;
  /** Of those that lead out, the subnets. */
  #subnets = "";

  private constructor(stack: Stack) {
    this.#stack = stack;
  }

  /** Loads the stack; gives what puts it behind the TUN interface, whose descriptor stays the caller's. */
  static prepare(): (options: UplinkOptions) => Uplink {
    const { Stack } = openStack()();
    // the nameserver is asked in any case, and what the program was read from is closed by then
    const datagrams = openDatagrams()();
    return ({ namespace, loop, names, onFault, onLull }) => {
      const stack = new Stack({
        tun: fcntl(namespace.uplink, F_DUPFD_CLOEXEC, 3),
        plan: PLAN,
        loadDatagrams: () => datagrams,
        formerNetlink: namespace.netlink,
        names,
        onFault,
        onLull,
      });
      loop.follow(stack.lead(loop.fd));
      serveNames(loop, namespace.nameservers, stack, names);
      return new Uplink(stack);
    };
  }

  /** Only those that are not internal lead out, and what is addressed to them never does. */
  setNetworks(networks: readonly BridgeNetwork[]): void {
    const subnets = networks.filter(({ internal }) => !internal)
      .flatMap((network) => network.subnets.map(({ subnet }) => subnet));
    const key = [...new Set(subnets)].sort().join();
    if (key === this.#subnets) return;
    this.#subnets = key;
    this.#stack.setGuests((key === "" ? [] : key.split(",")).map((text) => {
      const [address, prefix] = text.split("/");
      return { address: address!, prefix: Number(prefix) };
    }));
  }

  /** `listener` stays the caller's. */
  publish(port: PublishedPort, listener: number, guest: Guest): void {
    this.#stack.publish(port, fcntl(listener, F_DUPFD_CLOEXEC, 3), guest);
  }

  unpublish(port: PublishedPort): void {
    this.#stack.unpublish(port);
  }

  settle(): void {
    this.#stack.work();
  }
}

/** The user-mode stack behind the bridges: how their containers reach the world, and the world their ports. */

import { F_DUPFD_CLOEXEC } from "../../../ffi/constants/fcntl.ts";
import { fcntl } from "../../../ffi/file.ts";
import { openStack } from "../lazy_code.ts";
import type { NetworkLoop } from "../monitor_network.ts";
import type { PublishedPort, StackPlan } from "../plan.ts";
import type { Stack } from "../stack/stack.ts";
import { UPLINK_MTU } from "./links.ts";

/** Where a container is on a network that leads out. */
export interface Guest {
  ipv4?: string;
  ipv6?: string;
}

/**
 * The rules of the namespace let each bridge send from its own subnets only, so that all is taken here. The gateways are
 * what a container sees of a client whose address it cannot answer to; no subnet of anybody's is there.
 */
const PLAN: StackPlan = {
  mtu: UPLINK_MTU,
  guests: [{ address: "0.0.0.0", prefix: 0 }, { address: "::", prefix: 0 }],
  gateways: ["169.254.1.2", "fd73:6b69:6666::2"],
  nameservers: [],
  allowHostLoopback: false,
  dns: { resolvConf: "/etc/resolv.conf" },
};

export class Uplink {
  readonly #stack: Stack;

  private constructor(stack: Stack) {
    this.#stack = stack;
  }

  /** Loads the stack; gives what puts it behind the TUN interface, whose descriptor stays the caller's. */
  static prepare(): (tun: number, loop: NetworkLoop, onFault: (error: unknown) => void) => Uplink {
    const { Stack } = openStack()();
    return (tun, loop, onFault) => {
      const stack = new Stack({ tun: fcntl(tun, F_DUPFD_CLOEXEC, 3), plan: PLAN, onFault });
      loop.watch(stack.fd, () => stack.work());
      return new Uplink(stack);
    };
  }

  /** `listener` stays the caller's. */
  publish(port: PublishedPort, listener: number, guest: Guest): void {
    this.#stack.publish(port, fcntl(listener, F_DUPFD_CLOEXEC, 3), guest);
  }

  unpublish(port: PublishedPort): void {
    this.#stack.unpublish(port);
  }
}

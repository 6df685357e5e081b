/** Bridges in a network namespace of their own, with the user-mode stack behind them: all that a user may make. */

import { Bridges } from "./bridges.ts";
import type { BridgeGround } from "./ground.ts";
import { BridgeLinks } from "./links.ts";
import { NameTable } from "./names.ts";
import { descriptorsOf, fromDescriptors, openNamespaceBlocking } from "./namespace.ts";
import { NetlinkSocket } from "../../../ffi/netlink.ts";
import { Uplink } from "./uplink.ts";

/** Loads the stack. */
export function prepareOwnGround(): BridgeGround {
  const makeUplink = Uplink.prepare();
  return {
    make: () => descriptorsOf(openNamespaceBlocking()),
    open(fds, process) {
      const namespace = fromDescriptors(fds);
      if (!namespace) return undefined;
      const names = new NameTable();
      const links = new BridgeLinks(new NetlinkSocket(namespace.netlink));
      return new Bridges(links, names, makeUplink({ namespace, names, ...process }));
    },
  };
}

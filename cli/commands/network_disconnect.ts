/** @see podman-network-disconnect(1), docker network disconnect */

import { networkDisconnect } from "../../runtime/engine/network_connect.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";

export const command = defineCommand({
  usage: "[options] NETWORK CONTAINER",
  description: "Takes a container from a network; where it runs, at once.",
  examples: ["skiff network disconnect web db"],
  flags: {
    force: { kind: "bool", short: "f", help: "Also where its interface cannot be taken away" },
  },
  arity: { min: 2, max: 2 },
  async run({ options: { force }, args, global }) {
    const [network, container] = args as [string, string];
    await networkDisconnect(engineFor(global), network, container, { force });
  },
});

/** @see podman-network-exists(1) */

import { networkExists } from "../../runtime/engine/networks.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";

export const command = defineCommand({
  usage: "NETWORK",
  description: "Exits with 0 if there is such a network, with 1 if not.",
  examples: ["skiff network exists web || skiff network create web"],
  flags: {},
  arity: { min: 1, max: 1 },
  async run({ args, global }) {
    return await networkExists(engineFor(global), args[0]!) ? 0 : 1;
  },
});

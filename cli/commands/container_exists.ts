/** @see podman-container-exists(1) */

import { containerExists } from "../../runtime/engine/containers.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";

export const command = defineCommand({
  usage: "CONTAINER",
  description: "Exits with 0 if there is such a container, with 1 if not.",
  examples: ["skiff container exists web || skiff run -d --name web nginx"],
  flags: { external: { kind: "bool", help: "Of podman: there are no others", hidden: true } },
  arity: { min: 1, max: 1 },
  async run({ args, global }) {
    return await containerExists(engineFor(global), args[0]!) ? 0 : 1;
  },
});

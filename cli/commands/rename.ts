/** @see podman-rename(1) */

import { rename } from "../../runtime/engine/rename.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";

export const command = defineCommand({
  usage: "CONTAINER NAME",
  examples: ["skiff rename web old-web"],
  flags: {},
  arity: { min: 2, max: 2 },
  async run({ args, global }) {
    await rename(engineFor(global), args[0]!, args[1]!);
  },
});

/** @see podman-volume-exists(1) */

import { volumeExists } from "../../runtime/engine/volumes.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";

export const command = defineCommand({
  usage: "VOLUME",
  description: "Exits with 0 if there is such a volume, with 1 if not.",
  examples: ["skiff volume exists data || skiff volume create data"],
  flags: {},
  arity: { min: 1, max: 1 },
  async run({ args, global }) {
    return await volumeExists(engineFor(global), args[0]!) ? 0 : 1;
  },
});

/** @see podman-pod-exists(1) */

import { podExists } from "../../runtime/engine/pods/list.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";

export const command = defineCommand({
  usage: "POD",
  description: "Exits with 0 if there is such a pod, with 1 if not.",
  examples: ["skiff pod exists web || skiff pod create web"],
  flags: {},
  arity: { min: 1, max: 1 },
  async run({ args, global }) {
    return await podExists(engineFor(global), args[0]!) ? 0 : 1;
  },
});

/** @see podman-manifest-exists(1) */

import { manifestExists } from "../../runtime/engine/manifest_inspect.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";

export const command = defineCommand({
  usage: "LIST",
  description: "Exits with 0 if there is such a list, with 1 if not.",
  examples: ["skiff manifest exists app:1 || skiff manifest create app:1"],
  flags: {},
  arity: { min: 1, max: 1 },
  async run({ args, global }) {
    return await manifestExists(engineFor(global), args[0]!) ? 0 : 1;
  },
});

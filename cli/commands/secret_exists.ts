/** @see podman-secret-exists(1) */

import { secretExists } from "../../runtime/engine/secrets.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";

export const command = defineCommand({
  usage: "SECRET",
  description: "Exits with 0 if there is such a secret, with 1 if not.",
  examples: ["skiff secret exists token || skiff secret create token token.txt"],
  flags: {},
  arity: { min: 1, max: 1 },
  async run({ args, global }) {
    return await secretExists(engineFor(global), args[0]!) ? 0 : 1;
  },
});

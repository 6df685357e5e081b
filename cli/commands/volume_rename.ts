/** Neither docker nor podman can; the words are those of `rename`. */

import { volumeRename } from "../../runtime/engine/volume_rename.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";

export const command = defineCommand({
  usage: "VOLUME NAME",
  description: "Gives a volume another name. Its containers go on with it, those that run without a break.",
  examples: ["skiff volume rename data data-2025"],
  flags: {},
  arity: { min: 2, max: 2 },
  async run({ args: [volume, name], global }) {
    await volumeRename(engineFor(global), volume!, name!);
  },
});

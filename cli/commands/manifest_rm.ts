/** @see podman-manifest-rm(1) */

import { manifestRm } from "../../runtime/engine/manifest_inspect.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { printRemoval } from "../output/removal.ts";

export const command = defineCommand({
  usage: "[options] LIST [LIST...]",
  description: "Removes lists. The images in them stay. Exits with 1 if a list does not exist.",
  examples: ["skiff manifest rm app:1"],
  flags: {
    ignore: { kind: "bool", short: "i", help: "A list that does not exist is no error" },
  },
  arity: { min: 1 },
  async run({ options, args, global }) {
    return printRemoval(await manifestRm(engineFor(global), args, { ignore: options.ignore }));
  },
});

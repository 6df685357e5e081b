/** @see podman-tag(1) */

import { tag } from "../../runtime/engine/tag.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";

export const command = defineCommand({
  usage: "IMAGE NAME [NAME...]",
  examples: ["skiff tag 0e3bbc2 debian:mine", "skiff tag debian registry.example.org/team/debian:v2"],
  flags: {},
  arity: { min: 2 },
  async run({ args, global }) {
    const [image = "", ...names] = args;
    await tag(engineFor(global), image, names);
  },
});

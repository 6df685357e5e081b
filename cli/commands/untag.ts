/** @see podman-untag(1) */

import { untag } from "../../runtime/engine/untag.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";

export const command = defineCommand({
  usage: "IMAGE [NAME...]",
  description: "Takes names from an image, all of them where none is given. The image stays.",
  examples: ["skiff untag 8bd99a384753", "skiff untag debian docker.io/library/debian:12"],
  flags: {},
  arity: { min: 1 },
  async run({ args, global }) {
    const [image, ...names] = args as [string, ...string[]];
    await untag(engineFor(global), image, names);
  },
});

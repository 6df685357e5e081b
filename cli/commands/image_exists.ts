/** @see podman-image-exists(1) */

import { imageExists } from "../../runtime/engine/image_exists.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";

export const command = defineCommand({
  usage: "IMAGE",
  description: "Exits with 0 if there is such an image, with 1 if not.",
  examples: ["skiff image exists debian || skiff pull debian"],
  flags: {},
  arity: { min: 1, max: 1 },
  async run({ args, global }) {
    return await imageExists(engineFor(global), args[0]!) ? 0 : 1;
  },
});

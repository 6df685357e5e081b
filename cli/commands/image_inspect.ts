/** @see podman-image-inspect(1) */

import { imageInspect } from "../../runtime/engine/inspect.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { INSPECT_FLAGS, printInspection } from "../inspection.ts";

export const command = defineCommand({
  usage: "[options] IMAGE [IMAGE...]",
  examples: ["skiff image inspect debian", "skiff image inspect --format '{{.Id}} {{.Size}}' debian"],
  flags: INSPECT_FLAGS,
  arity: { min: 1, message: "no names or ids specified" },
  async run({ options, args, global }) {
    const engine = engineFor(global);
    return await printInspection(
      args,
      async (name) => ({ type: "image", document: await imageInspect(engine, name) }),
      options.format,
    );
  },
});

/** @see podman-volume-unmount(1) */

import { volumeUnmount } from "../../runtime/engine/volume_mount.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";

export const command = defineCommand({
  usage: "VOLUME [VOLUME...]",
  description: "Takes back what `volume mount` has asked a plugin to mount, and prints the names.",
  examples: ["skiff volume unmount data"],
  flags: {},
  arity: { min: 1 },
  async run({ args, global }) {
    const engine = engineFor(global);
    return await forEach(args, async (name) => await volumeUnmount(engine, name));
  },
});

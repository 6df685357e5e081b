/** @see podman-volume-mount(1) */

import { volumeMount } from "../../runtime/engine/volume_mount.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";

export const command = defineCommand({
  usage: "VOLUME [VOLUME...]",
  description:
    "Prints the folders with the content of volumes; a plugin's is mounted until `volume unmount`. What belongs to other\n" +
    "ids than yours is open to you within `skiff unshare`.",
  examples: ["skiff unshare sh -c 'ls -l $(skiff volume mount data)'"],
  flags: {},
  arity: { min: 1 },
  async run({ args, global }) {
    const engine = engineFor(global);
    return await forEach(args, async (name) => await volumeMount(engine, name));
  },
});

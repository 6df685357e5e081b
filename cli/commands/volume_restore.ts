/** Neither docker nor podman can; zfs(8) says rollback. */

import { volumeRestore } from "../../runtime/engine/volume_snapshot.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "VOLUME@SNAPSHOT",
  description:
    "Gives a volume what it held when the snapshot was made, and prints its name. No container may run with it. The\n" +
    "snapshot stays; what the volume held is gone, unless another snapshot has it.",
  examples: ["skiff volume restore data@before-upgrade"],
  flags: {},
  arity: { min: 1, max: 1 },
  async run({ args: [name], global }) {
    print(`${await volumeRestore(engineFor(global), name!)}\n`);
  },
});

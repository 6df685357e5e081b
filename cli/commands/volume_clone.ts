/** Neither docker nor podman can; the words are those of zfs(8). */

import { volumeClone } from "../../runtime/engine/volume_clone.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { print } from "../output/print.ts";
import { pairs } from "../flags/pairs.ts";

export const command = defineCommand({
  usage: "[options] VOLUME[@SNAPSHOT] NAME",
  description:
    "Makes a volume with the content of another, or of a snapshot, and prints its name. Where the file system can\n" +
    "(btrfs, xfs), both share their blocks until one is written to. Containers may go on in the source meanwhile.",
  examples: ["skiff volume clone data data-test", "skiff volume clone data@before-upgrade rescue"],
  flags: {
    label: {
      kind: "array",
      short: "l",
      value: "KEY=VALUE",
      help: "Set metadata, besides that of the source",
    },
  },
  arity: { min: 2, max: 2 },
  async run({ options, args: [source, name], global }) {
    print(`${await volumeClone(engineFor(global), source!, name!, { labels: pairs(options.label) })}\n`);
  },
});

/** @see podman-cp(1), docker cp */

import { cp } from "../../runtime/engine/cp.ts";
import { UnsupportedError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { printWarnings } from "../output/print.ts";
import { streaming } from "../output/stream.ts";

export const command = defineCommand({
  usage: "[options] [CONTAINER:]SRC_PATH [CONTAINER:]DEST_PATH",
  description: "Copies files and folders between a container, running or not, and the host, or between two " +
    "containers. With - as SRC_PATH a tar archive is read from standard input and unpacked, with - as DEST_PATH " +
    "one is written to standard output. SRC_PATH/. stands for what the folder holds.",
  examples: [
    "skiff cp app.conf web:/etc/app.conf",
    "skiff cp web:/var/log/. logs",
    "skiff cp one:/data two:/backup",
    "tar c site | skiff cp - web:/srv",
  ],
  flags: {
    archive: {
      kind: "bool",
      short: "a",
      default: true,
      help: "Give what comes into a container to the container's user; if false, keep the owners",
    },
    overwrite: { kind: "bool", help: "Let a folder replace a file, and a file a folder" },
    "follow-link": {
      kind: "bool",
      short: "L",
      default: true,
      hidden: true,
      help: "Follow a link at SRC_PATH",
    },
    pause: { kind: "bool", default: true, hidden: true, help: "Accepted: a copy needs no pause" },
    extract: { kind: "bool", hidden: true, help: "Accepted: an archive from standard input is unpacked" },
    quiet: { kind: "bool", short: "q", hidden: true, help: "Accepted: no progress is shown" },
  },
  arity: { min: 2, max: 2 },
  async run({ options, args: [source, destination], global }) {
    const { archive, overwrite } = options;
    if (!options["follow-link"]) {
      throw new UnsupportedError("--follow-link=false is not available: a link at SRC_PATH is followed");
    }
    const copy = () => cp(engineFor(global), source!, destination!, { archive, overwrite });
    const { skipped } = await (destination === "-" ? streaming(copy) : copy());
    if (skipped.count > 0) {
      const more = skipped.count > skipped.examples.length ? ", ..." : "";
      printWarnings([`left out ${skipped.count}: ${skipped.examples.join(", ")}${more}`]);
    }
  },
});

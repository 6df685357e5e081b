/** @see podman-volume-export(1) */

import { volumeExport } from "../../runtime/engine/volume_transfer.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { printWarnings } from "../output/print.ts";
import { refuseTerminal, streaming } from "../output/stream.ts";

export const command = defineCommand({
  usage: "[options] VOLUME[@SNAPSHOT]",
  description:
    "Writes what a volume, or a snapshot, holds as a tar archive, with owners, times and attributes.",
  examples: ["skiff volume export -o data.tar data", "skiff volume export data | zstd >data.tar.zst"],
  flags: { output: { kind: "string", short: "o", value: "FILE", help: "Write to a file, not to stdout" } },
  arity: { min: 1, max: 1 },
  async run({ options, args: [name], global }) {
    const output = options.output || undefined;
    refuseTerminal(output, "export");
    const { skipped } = await streaming(() => volumeExport(engineFor(global), name!, { output }));
    if (skipped.count > 0) printWarnings([`left out ${skipped.count}: ${skipped.examples.join(", ")}`]);
  },
});

/** @see podman-export(1) */

import { exportContainer } from "../../runtime/engine/export.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { printWarnings } from "../output/print.ts";
import { refuseTerminal, streaming } from "../output/stream.ts";

export const command = defineCommand({
  usage: "[options] CONTAINER",
  description: "Writes the files of a container, running or not, as a tar archive. Volumes are not in it.",
  examples: ["skiff export -o web.tar web", "skiff export web | skiff import - web:frozen"],
  flags: { output: { kind: "string", short: "o", value: "FILE", help: "Write to a file, not to stdout" } },
  arity: { min: 1, max: 1 },
  async run({ options, args: [name], global }) {
    // an empty name, perhaps of an unset variable, is stdout, as for podman
    const output = options.output || undefined;
    refuseTerminal(output, "export");
    if (output?.includes(":")) {
      throw new InvalidArgumentError(`invalid filename (should not contain ':') "${output}"`);
    }
    const { skipped } = await streaming(() => exportContainer(engineFor(global), name!, { output }));
    if (skipped.count > 0) printWarnings([`left out ${skipped.count}: ${skipped.examples.join(", ")}`]);
  },
});

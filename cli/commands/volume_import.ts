/** @see podman-volume-import(1) */

import { volumeImport } from "../../runtime/engine/volume_transfer.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { printWarnings } from "../output/print.ts";

const STDIN = 0;

export const command = defineCommand({
  usage: "VOLUME FILE|-",
  description:
    "Unpacks a tar archive, packed with gzip or zstd or not, over what a volume holds. It happens all or not at all;\n" +
    "no container may run with the volume.",
  examples: ["skiff volume import data data.tar", "zstd -dc data.tar.zst | skiff volume import data -"],
  flags: {},
  arity: { min: 2, max: 2 },
  async run({ args: [name, path], global }) {
    if (path === "-" && Deno.stdin.isTerminal()) {
      throw new InvalidArgumentError("cannot read from terminal, use command-line redirection");
    }
    const { skipped } = await volumeImport(engineFor(global), name!, path === "-" ? { fd: STDIN } : path!);
    if (skipped.count > 0) printWarnings([`left out ${skipped.count}: ${skipped.examples.join(", ")}`]);
  },
});

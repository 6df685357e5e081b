/** @see podman-image-diff(1) */

import { imageDiff } from "../../runtime/engine/image_diff.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { checkChangesFormat, renderChanges } from "../output/changes.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options] IMAGE [IMAGE]",
  description:
    "Lists what the topmost layer of an image has changed of those below it, or what the image differs in from\n" +
    "the second: A added, C changed, D deleted.",
  examples: ["skiff image diff web", "skiff image diff web:2 web:1", "skiff image diff --format json web"],
  flags: {
    format: { kind: "string", value: "FORMAT", help: "json, or table (the default)" },
  },
  arity: { min: 1, max: 2 },
  async run({ options: { format }, args, global }) {
    checkChangesFormat(format);
    const [image, against] = args as [string, string | undefined];
    print(renderChanges(await imageDiff(engineFor(global), image, against), format));
  },
});

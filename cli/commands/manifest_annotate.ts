/** @see podman-manifest-annotate(1) */

import { manifestAnnotate } from "../../runtime/engine/manifest_annotate.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { detailsFrom, ENTRY_FLAGS } from "../flags/manifest_entry.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options] LIST [IMAGE]",
  description: "IMAGE is a digest, or the name of an image of the store. Prints the list's id.",
  examples: [
    "skiff manifest annotate --annotation tested=yes app:1 sha256:…",
    "skiff manifest annotate --index --annotation org.opencontainers.image.vendor=us app:1",
  ],
  flags: {
    ...ENTRY_FLAGS,
    index: { kind: "bool", help: "The annotations are of the list itself" },
    "os-features": { kind: "list", value: "FEATURE", help: "Say which features of it the image needs" },
    subject: { kind: "string", value: "IMAGE", help: "Say what the list is about" },
  },
  arity: { min: 1, max: 2 },
  async run({ options, args, global }) {
    const [list = "", entry] = args;
    const { index, subject, "os-features": osFeatures } = options;
    if (entry === undefined && !index && subject === undefined) {
      throw new InvalidArgumentError("accepts 2 arg(s), received 1", {
        hint: "name the image, or use --index for the list itself",
      });
    }
    const id = await manifestAnnotate(engineFor(global), list, entry, {
      ...detailsFrom(options),
      osFeatures: osFeatures.length === 0 ? undefined : osFeatures,
      index,
      subject,
    });
    print(`${id}\n`);
  },
});

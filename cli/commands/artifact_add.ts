/** @see podman-artifact-add(1) */

import { artifactAdd } from "../../runtime/engine/artifact_add.ts";
import { digestHex } from "../../runtime/spec/digest.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { annotationsFrom } from "../flags/manifest_entry.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options] ARTIFACT PATH [PATH...]",
  description: "Makes an artifact of files. Prints its digest.",
  examples: [
    "skiff artifact add --type application/vnd.example.model registry.example.com/team/model:1 model.bin",
    "skiff artifact add --append registry.example.com/team/model:1 LICENSE",
  ],
  flags: {
    annotation: { kind: "array", value: "KEY=VALUE", help: "Set an annotation of the files" },
    append: { kind: "bool", short: "a", help: "Add the files to the artifact that there is" },
    "file-type": {
      kind: "string",
      value: "TYPE",
      help: "Media type of the files (default: what they look like)",
    },
    replace: { kind: "bool", help: "Take the place of the artifact that there is" },
    type: { kind: "string", value: "TYPE", help: "Type of the artifact" },
  },
  arity: { min: 2 },
  async run({ options, args, global }) {
    const [name = "", ...paths] = args;
    const digest = await artifactAdd(engineFor(global), name, paths, {
      type: options.type || undefined,
      fileType: options["file-type"] || undefined,
      annotations: annotationsFrom(options.annotation),
      append: options.append,
      replace: options.replace,
    });
    print(`${digestHex(digest)}\n`);
  },
});

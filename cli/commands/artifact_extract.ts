/** @see podman-artifact-extract(1) */

import { artifactExtract } from "../../runtime/engine/artifact_extract.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";

export const command = defineCommand({
  usage: "[options] ARTIFACT PATH",
  description:
    "Writes the files of an artifact into the folder PATH, under their titles, or one of them to the file\n" +
    "PATH. What is there is overwritten. A title that is no name of a file is refused.",
  examples: [
    "skiff artifact extract registry.example.com/team/model:1 .",
    "skiff artifact extract --title LICENSE registry.example.com/team/model:1 /tmp/license",
  ],
  flags: {
    digest: {
      kind: "string",
      value: "DIGEST",
      help: "Only the file of that digest, which is its name in a folder",
    },
    title: { kind: "string", value: "TITLE", help: "Only the file of that title" },
  },
  arity: { min: 2, max: 2 },
  async run({ options, args, global }) {
    const [name = "", path = ""] = args;
    await artifactExtract(engineFor(global), name, path, options);
  },
});

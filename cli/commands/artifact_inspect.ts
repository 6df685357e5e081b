/** @see podman-artifact-inspect(1) */

import { type ArtifactDocument, artifactInspect } from "../../runtime/engine/artifacts.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { jsonText } from "../output/escape.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options] ARTIFACT [ARTIFACT...]",
  description: "Shows the manifest of an artifact; of several, a list.",
  examples: ["skiff artifact inspect registry.example.com/team/model:1"],
  flags: {
    format: { kind: "string", short: "f", value: "FORMAT", help: "json, or a Go template for each artifact" },
  },
  arity: { min: 1 },
  async run({ options, args, global }) {
    const engine = engineFor(global);
    const documents: ArtifactDocument[] = [];
    for (const text of args) documents.push(await artifactInspect(engine, text));
    if (options.format !== undefined && options.format !== "json") {
      const { compileFormat, row } = await import("../output/format.ts");
      const template = compileFormat("inspect", options.format);
      for (const one of documents) {
        print(template.execute(row("entities.ArtifactInspectReport", { ...one })));
      }
      return;
    }
    print(jsonText(documents.length === 1 ? documents[0] : documents, 5) + "\n");
  },
});

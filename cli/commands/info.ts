/** @see podman-info(1) */

import { info } from "../../runtime/engine/info.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { escapeLines, jsonText } from "../output/escape.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options]",
  examples: ["skiff info", "skiff info --format '{{.Store.GraphRoot}}'", "skiff info --format json"],
  flags: {
    format: { kind: "string", short: "f", value: "FORMAT", help: "json, or a Go template" },
  },
  arity: { max: 0 },
  async run({ options: { format }, global }) {
    const document = await info(engineFor(global));
    if (format === "json") return print(jsonText(document, 2) + "\n");
    if (format !== undefined) {
      const [{ renderDocument }, { infoView }] = await Promise.all([
        import("../output/format.ts"),
        import("../output/document.ts"),
      ]);
      return print(renderDocument("info", format, infoView(document)));
    }
    const { stringify } = await import("yaml");
    // Docker's keys repeat podman's: they are for templates and json.
    const { host, plugins, registries, store, version } = document;
    print(escapeLines(stringify({ host, plugins, registries, store, version }, { lineWidth: 0 })));
  },
});

/** @see podman-network-inspect(1) */

import { type NetworkInfo, networkInspect } from "../../runtime/engine/networks.ts";
import { NotFoundError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { INSPECT_FLAGS } from "../inspection.ts";
import { escapeLines, jsonText } from "../output/escape.ts";
import { inspectedNetwork, networkFields } from "../output/networks.ts";
import { print, printError } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options] NETWORK [NETWORK...]",
  description: "Shows networks, and the containers that run on them with their addresses.",
  examples: [
    "skiff network inspect web",
    "skiff network inspect --format '{{range .Subnets}}{{.Subnet}} {{end}}' web",
  ],
  flags: {
    ...INSPECT_FLAGS,
    verbose: { kind: "bool", short: "v", hidden: true, help: "docker's, of swarms" },
  },
  arity: { min: 1 },
  async run({ options: { format }, args, global }) {
    const engine = engineFor(global);
    const found: NetworkInfo[] = [];
    const missing: string[] = [];
    for (const name of args) {
      try {
        found.push(await networkInspect(engine, name));
      } catch (error) {
        if (!(error instanceof NotFoundError)) throw error;
        missing.push(`network ${name}: ${error.message}`);
      }
    }
    if (format === undefined || format === "json") print(jsonText(found.map(inspectedNetwork), 5) + "\n");
    else {
      const { compileFormat, row } = await import("../output/format.ts");
      const template = compileFormat("inspect", format);
      for (const one of found) print(template.execute(row("types.Network", networkFields(one))));
    }
    for (const text of missing) printError(`Error: inspecting object: ${escapeLines(text)}\n`);
    return missing.length > 0 ? 125 : 0;
  },
});

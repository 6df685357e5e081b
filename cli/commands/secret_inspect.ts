/** @see podman-secret-inspect(1) */

import { type SecretInfo, secretInspect } from "../../runtime/engine/secrets.ts";
import { NotFoundError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { INSPECT_FLAGS } from "../inspection.ts";
import { escapeControl, escapeLines, jsonText } from "../output/escape.ts";
import { goTime } from "../output/humanize.ts";
import { print, printError } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options] SECRET [SECRET...]",
  description: "Shows secrets, without what they hold unless that is asked for.",
  examples: [
    "skiff secret inspect token",
    "skiff secret inspect --showsecret --format '{{.SecretData}}' token",
  ],
  flags: {
    ...INSPECT_FLAGS,
    pretty: { kind: "bool", help: "Print it for people; --format is not looked at" },
    showsecret: { kind: "bool", help: "Show what it holds" },
  },
  arity: { min: 1 },
  async run({ options, args, global }) {
    const engine = engineFor(global);
    const found: SecretInfo[] = [];
    const missing: string[] = [];
    for (const name of args) {
      try {
        found.push(await secretInspect(engine, name, { showSecret: options.showsecret }));
      } catch (error) {
        if (!(error instanceof NotFoundError)) throw error;
        missing.push(error.message);
      }
    }
    const { format } = options;
    if (options.pretty) print(found.map(prettyText).join(""));
    else if (format === undefined || format === "json") print(jsonText(found, 4) + "\n");
    else {
      const { compileFormat, row } = await import("../output/format.ts");
      const template = compileFormat("inspect", format);
      for (const one of found) {
        print(template.execute(row("*entities.SecretInfoReport", { SecretData: "", ...one })));
      }
    }
    for (const text of missing) printError(`Error: inspecting secret: ${escapeLines(text)}\n`);
    return missing.length > 0 ? 125 : 0;
  },
});

function prettyText({ ID, CreatedAt, UpdatedAt, Spec }: SecretInfo): string {
  const labels = Object.entries(Spec.Labels).sort(([a], [b]) => a < b ? -1 : 1)
    .map(([key, value]) => ` - ${key}${value === "" ? "" : `=${value}`}`);
  const lines = [
    `ID:              ${ID}`,
    `Name:              ${Spec.Name}`,
    ...(labels.length > 0 ? ["Labels:", ...labels] : []),
    `Driver:            ${Spec.Driver.Name}`,
    `Created at:        ${goTime(CreatedAt)}`,
    `Updated at:        ${goTime(UpdatedAt)}`,
  ];
  return lines.map((line) => `${escapeControl(line)}\n`).join("");
}

/** What stands between this machine and containers, and what to do about it. */

import { doctor, doctorExitCode, type Finding } from "../../runtime/engine/doctor.ts";
import { defineCommand } from "../command.ts";
import { engineOptions } from "../engine.ts";
import { escapeLines, jsonText } from "../output/escape.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options]",
  description:
    "Tries everything that containers need of this machine: a line each, and below it the remedy.\n" +
    "Exits with 0 where all is well, 1 where containers run with less than they could (degraded),\n" +
    "2 where they do not run (fails). A note changes nothing.",
  examples: ["skiff doctor", "skiff doctor --json", "skiff doctor > /dev/null || echo look closer"],
  flags: {
    json: { kind: "bool", help: "An array of objects with Check, Status, Detail and Remedy" },
  },
  arity: { max: 0 },
  async run({ options, global }) {
    const findings = await doctor(engineOptions(global));
    print(options.json ? jsonText(findings.map(document), 2) + "\n" : findings.map(line).join(""));
    return doctorExitCode(findings);
  },
});

function document({ check, status, detail, remedy = "" }: Finding) {
  return { Check: check, Status: status, Detail: detail, Remedy: remedy };
}

function line({ check, status, detail, remedy }: Finding): string {
  const first = `${status.padEnd(9)} ${check.padEnd(16)} ${detail}`;
  const lines = remedy === undefined
    ? [first]
    : [first, ...remedy.split("\n").map((text) => `${" ".repeat(27)}${text}`)];
  return lines.map((text) => `${escapeLines(text)}\n`).join("");
}

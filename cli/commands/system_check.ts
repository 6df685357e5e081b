/** @see podman-system-check(1) */

import { type Damage, systemCheck } from "../../runtime/engine/system_check.ts";
import { InvalidArgumentError, SkiffError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { escapeLines } from "../output/escape.ts";
import { shortId } from "../output/humanize.ts";
import { print } from "../output/print.ts";
import { parseDuration } from "../output/time_argument.ts";

export const command = defineCommand({
  usage: "[options]",
  description:
    "Compares all that is stored with what it should be: the database, images, and every file of every\n" +
    "unpacked layer with the archive that it came from (content, size, mode, owner; what is missing or was\n" +
    "added). With --repair a damaged layer is unpacked again, and an image that cannot be mended is removed\n" +
    "unless a container uses it; with --force also then. Exits with 125 where damage is left.",
  examples: ["skiff system check", "skiff system check --quick", "skiff system check --repair --force"],
  flags: {
    force: {
      kind: "bool",
      short: "f",
      help: "With --repair: also what containers use; they are ended, or removed",
    },
    max: {
      kind: "string",
      short: "m",
      value: "DURATION",
      help: "Content without an image is damage once so old",
      default: "24h0m0s",
    },
    quick: { kind: "bool", short: "q", help: "Do not read contents" },
    repair: { kind: "bool", short: "r", help: "Mend, or remove what is damaged" },
  },
  arity: { max: 0 },
  async run({ options: { force, max, quick, repair }, global }) {
    const maxAgeMs = max === undefined ? undefined : parseDuration(max);
    if (max !== undefined && maxAgeMs === undefined) {
      throw new InvalidArgumentError(
        `invalid argument "${max}" for "-m, --max" flag: time: invalid duration "${max}"`,
      );
    }
    const found = await systemCheck(engineFor(global), { quick, repair, force, maxAgeMs });
    for (const damage of found) print(escapeLines(describe(damage)));
    if (found.every(({ repaired }) => repaired !== undefined)) return;
    const hint = repair ? "use --force for what containers use" : "use --repair to mend or remove it";
    throw new SkiffError("damage detected in local storage", { hint });
  },
});

function describe({ kind, id, name, problems, repaired }: Damage): string {
  const what = kind === "unreferenced" || kind === "database" ? id : shortId(id);
  const title = `Damaged ${kind === "unreferenced" ? "content" : kind} ${what}${name ? ` (${name})` : ""}:`;
  const lines = [title, ...problems.map((problem) => `  ${problem}`), ...(repaired ? [`  ${repaired}`] : [])];
  return lines.map((line) => `${line}\n`).join("");
}

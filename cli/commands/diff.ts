/** @see podman-diff(1) */

import { type Change, type ChangeKind, diff } from "../../runtime/engine/diff.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { LATEST } from "../flags/selection.ts";
import { escapeControl } from "../output/escape.ts";
import { print } from "../output/print.ts";
import { selectContainers } from "../selection.ts";

const WORDS: Record<ChangeKind, string> = { C: "changed", A: "added", D: "deleted" };

export const command = defineCommand({
  usage: "[options] CONTAINER",
  description: "Lists what a container has changed of its image's files: A added, C changed, D deleted.",
  examples: ["skiff diff web", "skiff diff --format json web"],
  flags: {
    format: { kind: "string", value: "FORMAT", help: "json, or table (the default)" },
    ...LATEST,
  },
  arity: { max: 1 },
  async run({ options, args, global }) {
    const { format } = options;
    if (format !== undefined && !["", "json", "table"].includes(format)) {
      throw new InvalidArgumentError("only supported value for '--format' is 'json'");
    }
    const engine = engineFor(global);
    if (args.length === 0 && !options.latest) {
      throw new InvalidArgumentError('"skiff diff" requires a name, id, or the "--latest" flag');
    }
    const [name] = await selectContainers(engine, { latest: options.latest, args });
    const changes = await diff(engine, name!);
    print(format === "json" ? document(changes) : lines(changes));
  },
});

function lines(changes: Change[]): string {
  return changes.map(({ kind, path }) => `${kind} ${escapeControl(path)}\n`).join("");
}

/** A list for each kind that there is, as podman has it. */
function document(changes: Change[]): string {
  const lists: Record<string, string[]> = {};
  for (const kind of ["C", "A", "D"] as const) {
    const paths = changes.filter((change) => change.kind === kind).map(({ path }) => path);
    if (paths.length > 0) lists[WORDS[kind]] = paths;
  }
  return JSON.stringify(lists, undefined, 5) + "\n";
}

import { defineCommand } from "../command.ts";
import { commandHelp, groupHelp, rootHelp } from "../help.ts";
import { print } from "../output/print.ts";
import { explainUnknownVerb } from "../unavailable.ts";
import { findVerb } from "../verbs.ts";

export const command = defineCommand({
  usage: "[COMMAND]",
  examples: ["skiff help run", "skiff help image ls"],
  flags: {},
  async run({ args }) {
    if (args.length === 0) return print(rootHelp());
    const found = findVerb(args);
    if (found.kind === "unknown") throw explainUnknownVerb(found);
    if (found.kind === "group") return print(groupHelp(found.group));
    const { command } = await found.verb.load();
    print(commandHelp(command, found.verb, found.path));
  },
});

import { defineCommand } from "../command.ts";
import { commandHelp, groupHelp, rootHelp, screenWidth, topicHelp } from "../help.ts";
import { print } from "../output/print.ts";
import { TOPICS } from "../topics.ts";
import { explainUnknownVerb } from "../unavailable.ts";
import { findVerb } from "../find_verb.ts";

export const command = defineCommand({
  usage: "[TOPIC]",
  description: `A topic is a command, a group of commands, or one of:\n${
    TOPICS.map(({ name, summary }) => `  ${name.padEnd(12)}  ${summary}`).join("\n")
  }`,
  examples: ["skiff help run", "skiff help image ls", "skiff help exit-codes"],
  flags: {},
  async run({ args }) {
    const screen = screenWidth();
    if (args.length === 0) return print(rootHelp(screen));
    const topic = args.length === 1 ? TOPICS.find(({ name }) => name === args[0]) : undefined;
    if (topic) return print(topicHelp(topic, screen));
    const found = findVerb(args);
    if (found.kind === "unknown") throw explainUnknownVerb(found, TOPICS);
    if (found.kind === "group") return print(groupHelp(found.group, screen));
    const { command } = await found.verb.load();
    print(commandHelp(command, found.verb, found.path, screen));
  },
});

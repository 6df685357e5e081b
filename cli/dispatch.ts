/** Parse, load the one file of the command, run it. Gives the exit code or throws. */

import { type Call, type Command, type Flags, GLOBAL_FLAGS, type GlobalValues } from "./command.ts";
import { parseLine, UnknownFlagError } from "./parser.ts";
import { checkArity, fillDefaults } from "./values.ts";
import { findVerb } from "./find_verb.ts";
import type { Verb, VerbGroup } from "./verb.ts";
import { InvalidArgumentError } from "../runtime/errors.ts";
import { print, printError } from "./output/print.ts";

const ROOT_FLAGS: Flags = {
  ...GLOBAL_FLAGS,
  version: { kind: "bool", short: "v", help: "Show the version" },
};

/** Names the level as soon as it is known, for whoever renders a later error. */
export type OnLogLevel = (level: string) => void;

/** Runs the command that `words` ask for. */
export async function dispatch(words: readonly string[], onLogLevel: OnLogLevel): Promise<number> {
  const root = await explained(() => parseLine(words, ROOT_FLAGS, "skiff", true), "skiff", ROOT_FLAGS);
  const level = root.values.get("log-level");
  if (typeof level === "string") onLogLevel(level);
  if (root.values.get("version") === true) {
    const { VERSION } = await import("../runtime/engine/version.ts");
    print(`skiff version ${VERSION}\n`);
    return 0;
  }
  if (root.help || root.args.length === 0) {
    const { rootHelp, screenWidth } = await import("./help.ts");
    print(rootHelp(screenWidth()));
    return 0;
  }
  const found = findVerb(root.args);
  if (found.kind === "group") return await showGroup(found.group, root.args);
  if (found.kind === "unknown") {
    const { explainUnknownVerb } = await import("./unavailable.ts");
    throw explainUnknownVerb(found);
  }
  return await runVerb(found.verb, found.path, found.rest, root.values, onLogLevel);
}

/** `skiff container` alone is a mistake, `skiff container --help` is not. */
async function showGroup(group: VerbGroup, args: readonly string[]): Promise<number> {
  const { groupHelp, screenWidth } = await import("./help.ts");
  const words = group.name.split(" ").length;
  if (args.length > words) {
    parseLine(args.slice(words), {}, `skiff ${group.name}`);
    print(groupHelp(group, screenWidth()));
    return 0;
  }
  printError(groupHelp(group) + "\n");
  throw new InvalidArgumentError(`missing command 'skiff ${group.name} COMMAND'`);
}

async function runVerb(
  verb: Verb,
  path: string,
  rest: string[],
  rootValues: ReadonlyMap<string, unknown>,
  onLogLevel: OnLogLevel,
): Promise<number> {
  const { command } = await verb.load();
  const flags: Flags = { ...GLOBAL_FLAGS, ...command.flags };
  const parsed = await explained(() => parseLine(rest, flags, path, command.optionsFirst), path, flags);
  if (parsed.help) {
    const { commandHelp, screenWidth } = await import("./help.ts");
    print(commandHelp(command, verb, path, screenWidth()));
    return 0;
  }
  for (const name in GLOBAL_FLAGS) {
    const value = rootValues.get(name);
    if (value !== undefined && !parsed.values.has(name)) parsed.values.set(name, value as string);
  }
  const options = fillDefaults(flags, parsed);
  if (typeof options["log-level"] === "string") onLogLevel(options["log-level"]);
  const given = new Set(parsed.values.keys());
  checkArity(command, parsed.args, path);
  const call: Call = { options, given, args: parsed.args, global: options as unknown as GlobalValues, path };
  return await command.run(call as unknown as Parameters<Command["run"]>[0]) ?? 0;
}

/** Tells an option that is not there yet from one that nobody knows. */
async function explained<T>(parse: () => T, path: string, flags: Flags): Promise<T> {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof UnknownFlagError)) throw error;
    const { explainUnknownFlag } = await import("./unavailable.ts");
    throw explainUnknownFlag(error, path, flags);
  }
}

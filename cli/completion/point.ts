/** Where the cursor stands in a command line, and what belongs there; pure but for loading the one command. */

import { type Command, type Flag, type Flags, GLOBAL_FLAGS } from "../command.ts";
import { findVerb, membersOf } from "../find_verb.ts";
import { GROUPS, type Verb, VERBS } from "../verbs.ts";

/** What may be typed at the cursor. `typed` is the word so far, or of `--flag=word` the part behind `=`. */
export type Point =
  | { kind: "verb"; typed: string; names: readonly { name: string; summary: string }[] }
  | { kind: "flag"; typed: string; flags: Flags }
  | { kind: "value"; typed: string; lead: string; name: string; flag: Flag; path: string }
  | { kind: "argument"; typed: string; word: string; before: string[]; path: string };

const ROOT_FLAGS: Flags = {
  ...GLOBAL_FLAGS,
  help: { kind: "bool", help: "Show the help" },
  version: { kind: "bool", short: "v", help: "Show the version" },
};

/** `words` follow `skiff`; the last is what the cursor is in. Undefined where nothing is known to belong. */
export async function findPoint(words: readonly string[]): Promise<Point | undefined> {
  const typed = words.at(-1) ?? "";
  const root = walk(words.slice(0, -1), typed, ROOT_FLAGS, "skiff", true);
  if (root.point) return root.point;
  const found = findVerb(root.args);
  if (found.kind === "verb") return await pointInVerb(found.verb, found.path, found.rest, typed);
  if (found.kind === "group" && root.args.length === found.group.name.split(" ").length) {
    return verbPoint(typed, membersOf(found.group));
  }
  return root.args.length === 0 ? verbPoint(typed, [...VERBS, ...GROUPS]) : undefined;
}

function verbPoint(typed: string, names: readonly { name: string; summary: string }[]): Point {
  return typed.startsWith("-")
    ? { kind: "flag", typed, flags: { help: ROOT_FLAGS.help! } }
    : { kind: "verb", typed, names };
}

async function pointInVerb(
  verb: Verb,
  path: string,
  rest: string[],
  typed: string,
): Promise<Point | undefined> {
  const { command } = await verb.load();
  const flags: Flags = { ...command.flags, ...GLOBAL_FLAGS, help: ROOT_FLAGS.help! };
  const { args, point } = walk(rest, typed, flags, path, command.optionsFirst ?? false);
  if (point) return point;
  const word = argumentWord(command, args.length);
  return word === undefined ? undefined : { kind: "argument", typed, word, before: args, path };
}

/** The options and arguments before the cursor, and the point where it is in an option. */
function walk(
  before: readonly string[],
  typed: string,
  flags: Flags,
  path: string,
  optionsFirst: boolean,
): { args: string[]; point?: Point } {
  const args: string[] = [];
  let open: string | undefined;
  let hasEnded = false;
  for (const [index, word] of before.entries()) {
    if (open !== undefined) open = undefined;
    else if (hasEnded || word.length < 2 || word[0] !== "-") {
      args.push(word);
      if (optionsFirst) return { args: [...args, ...before.slice(index + 1)] };
    } else if (word === "--") hasEnded = true;
    else open = openFlag(word, flags);
  }
  if (open !== undefined) {
    return { args, point: { kind: "value", typed, lead: "", name: open, flag: flags[open]!, path } };
  }
  if (hasEnded || !typed.startsWith("-")) return { args };
  const equals = typed.indexOf("=");
  if (equals < 0) return { args, point: { kind: "flag", typed, flags } };
  const name = nameOf(typed.slice(2, equals), flags);
  if (name === undefined) return { args };
  const lead = typed.slice(0, equals + 1);
  const value = typed.slice(equals + 1);
  return { args, point: { kind: "value", typed: value, lead, name, flag: flags[name]!, path } };
}

/** The option of `--name` or `-abc` whose value is the next word. */
function openFlag(word: string, flags: Flags): string | undefined {
  if (word.includes("=")) return undefined;
  if (word.startsWith("--")) {
    const name = nameOf(word.slice(2), flags);
    return name !== undefined && needsValue(flags[name]!) ? name : undefined;
  }
  for (let at = 1; at < word.length; at++) {
    const name = Object.keys(flags).find((one) => flags[one]!.short === word[at]);
    if (name !== undefined && needsValue(flags[name]!)) return at === word.length - 1 ? name : undefined;
  }
  return undefined;
}

function nameOf(spelled: string, flags: Flags): string | undefined {
  return Object.keys(flags).find((name) => name === spelled || flags[name]!.aliases?.includes(spelled));
}

function needsValue({ kind, bare }: Flag): boolean {
  return kind !== "bool" && bare === undefined;
}

/** What the usage calls the argument at `index`: of `IMAGE [COMMAND [ARG...]]` the one at 5 is `ARG`. */
export function argumentWord({ usage }: Pick<Command, "usage">, index: number): string | undefined {
  const words = usage.replace("[options]", "").split(/\s+/).filter((word) => word !== "");
  const names = words.map((word) => word.replace(/[[\]]/g, ""));
  const last = names.at(-1);
  const name = names[index] ?? (last?.endsWith("...") ? last : undefined);
  return name?.replace(/\.\.\.$/, "");
}

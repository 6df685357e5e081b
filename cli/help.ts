/** The help texts, written from the command tables; pure, so that a man page or completion can be, too. */

import { type Command, type Flag, type Flags, GLOBAL_FLAGS } from "./command.ts";
import type { Topic } from "./topics.ts";
import { membersOf } from "./find_verb.ts";
import { GROUPS, type Verb, type VerbGroup, VERBS } from "./verbs.ts";

export const ROOT_FLAGS: Flags = {
  ...GLOBAL_FLAGS,
  help: { kind: "bool", help: "Show this help" },
  version: { kind: "bool", short: "v", help: "Show the version" },
};

export const ROOT_EXAMPLES: readonly string[] = [
  "skiff run --rm host cat /etc/os-release",
  "skiff run --rm -it docker.io/library/debian",
  "skiff run -d --name web docker.io/library/nginx",
  "skiff ps -a",
];

const MORE = "Run 'skiff help COMMAND' for the options of a command, 'skiff help help' for more topics.";

/** `skiff`, `skiff --help`. */
export function rootHelp(screen = SCREEN_CHARACTERS): string {
  return [
    "skiff runs OCI containers without root and without a daemon.",
    section("Usage", ["skiff [options] COMMAND [ARG...]"]),
    section("Commands", columns(byName(VERBS).map(({ name, summary }) => [name, summary]), screen)),
    section("Groups", columns(GROUPS.map(({ name, summary }) => [name, summary]), screen)),
    section("Options", flagLines(ROOT_FLAGS, screen)),
    section("Examples", ROOT_EXAMPLES),
    wrapped(MORE, screen).join("\n"),
  ].join("\n\n") + "\n";
}

/** `skiff container`, `skiff image --help`. */
export function groupHelp(group: VerbGroup, screen = SCREEN_CHARACTERS): string {
  return [
    group.summary,
    section("Usage", [`skiff ${group.name} COMMAND`]),
    section(
      "Commands",
      columns(byName(membersOf(group)).map((verb) => [verbNames(verb), verb.summary]), screen),
    ),
  ].join("\n\n") + "\n";
}

/** `skiff run --help`; `path` is the name as it is written in full: `skiff container run`. */
export function commandHelp(
  command: Command,
  verb: Verb,
  path: string,
  screen = SCREEN_CHARACTERS,
): string {
  const parts = [
    command.description ? `${verb.summary}\n\n${prose(command.description, screen)}` : verb.summary,
    section("Usage", [`${path} ${command.usage}`]),
  ];
  if (verb.aliases) parts.push(section("Aliases", [[verb.name, ...verb.aliases].join(", ")]));
  if (command.examples.length > 0) parts.push(section("Examples", command.examples));
  if (Object.keys(command.flags).length > 0) parts.push(section("Options", flagLines(command.flags, screen)));
  return parts.join("\n\n") + "\n";
}

/** `skiff help storage`. */
export function topicHelp({ summary, body }: Topic, screen = SCREEN_CHARACTERS): string {
  const parts = body.map((part) =>
    typeof part === "string"
      ? wrapped(part, Math.min(screen, LINE_CHARACTERS)).join("\n")
      : columns(part, screen).map((line) => `  ${line}`).join("\n")
  );
  return [summary, ...parts].join("\n\n") + "\n";
}

const LINE_CHARACTERS = 110;

/** Lines are broken anew where one is too long; those of a table are not. */
function prose(description: string, screen: number): string {
  const characters = Math.min(screen, LINE_CHARACTERS);
  const parts: string[] = [];
  for (const line of description.split("\n")) {
    const goesOn = /^\S/.test(line) && /^\S/.test(parts.at(-1) ?? "");
    if (goesOn) parts.push(`${parts.pop()}\n${line}`);
    else parts.push(line);
  }
  const isTooLong = (part: string) => part.split("\n").some((line) => line.length > characters);
  return parts.map((part) =>
    !part.startsWith("  ") && isTooLong(part)
      ? wrapped(part.replaceAll("\n", " "), characters).join("\n")
      : part
  ).join("\n");
}

function wrapped(text: string, characters: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line === undefined || line.length + 1 + word.length > characters) lines.push(word);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines;
}

export function byName<T extends { name: string }>(list: readonly T[]): T[] {
  return list.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function verbNames(verb: Pick<Verb, "name" | "aliases">): string {
  return [verb.name, ...verb.aliases ?? []].join(", ");
}

function section(title: string, lines: readonly string[]): string {
  return `${title}:\n${lines.map((line) => `  ${line}`).join("\n")}`;
}

/** What texts are made for; a terminal may be narrower. */
const SCREEN_CHARACTERS = 118;
const LEAST_CHARACTERS = 30;

/** How wide a text can be on the terminal at stdout, if there is one. */
export function screenWidth(): number {
  try {
    if (Deno.stdout.isTerminal()) return Math.min(SCREEN_CHARACTERS, Deno.consoleSize().columns - 1);
  } catch {
    // a terminal that does not know its size
  }
  return SCREEN_CHARACTERS;
}

/** Two columns, the second at one place; what is too long goes on below. */
function columns(rows: readonly (readonly [string, string])[], screen: number): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.flatMap(([left, right]) =>
    wrapped(right, Math.max(LEAST_CHARACTERS, screen - width - 4)).map((text, index) =>
      `${(index === 0 ? left : "").padEnd(width)}  ${text}`.trimEnd()
    )
  );
}

function flagLines(flags: Flags, screen: number): string[] {
  return columns(visibleFlags(flags).map(([name, flag, text]) => [flagNames(name, flag), text]), screen);
}

/** By name; the text tells the default, too. */
export function visibleFlags(flags: Flags): [name: string, flag: Flag, text: string][] {
  return Object.entries(flags).filter(([, flag]) => !flag.hidden)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, flag]) => [name, flag, flagText(flag)]);
}

function flagNames(name: string, flag: Flag): string {
  const value = flag.kind === "bool" ? "" : ` ${flag.value ?? flag.kind}`;
  return `${flag.short ? `-${flag.short}, ` : "    "}--${name}${value}`;
}

function flagText(flag: Flag): string {
  const standard = flag.default === undefined ? "" : ` (default ${String(flag.default)})`;
  const only = flag.only ? ` (so far only ${flag.only.filter((value) => value !== "").join(", ")})` : "";
  return flag.help + standard + only;
}

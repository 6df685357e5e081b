import { deepStrictEqual as assertEquals, ok } from "node:assert";
import { type Command, defineCommand } from "./command.ts";
import { commandHelp, groupHelp, rootHelp } from "./help.ts";
import { GROUPS, type Verb, VERBS } from "./verbs.ts";

const SAIL: Verb = {
  name: "sail",
  aliases: ["go"],
  summary: "Sail somewhere",
  load: () => Promise.reject(new Error("not loaded")),
};

const COMMAND = defineCommand({
  usage: "[options] HARBOUR",
  description: "Takes a while.",
  examples: ["skiff sail oslo"],
  flags: {
    crew: { kind: "int", short: "c", value: "N", help: "How many sail", default: "2" },
    fast: { kind: "bool", help: "Hurry" },
    wind: { kind: "string", only: ["", "south"], help: "From where" },
    ghost: { kind: "bool", help: "Not shown", hidden: true },
  },
  run: () => Promise.resolve(),
});

Deno.test("a command's help lines up its options and hides what is hidden", () => {
  assertEquals(
    commandHelp(COMMAND, SAIL, "skiff sail"),
    `Sail somewhere

Takes a while.

Usage:
  skiff sail [options] HARBOUR

Aliases:
  sail, go

Examples:
  skiff sail oslo

Options:
  -c, --crew N       How many sail (default 2)
      --fast         Hurry
      --wind string  From where (so far only south)
`,
  );
});

Deno.test("the main help names every command and group once", () => {
  const help = rootHelp();
  for (const { name, summary } of [...VERBS, ...GROUPS]) {
    assertEquals(help.split(`\n  ${name} `).length, 2, name);
    ok(help.includes(summary), summary);
  }
});

Deno.test("a group's help shows the other spellings", () => {
  ok(/\n {2}list, ls +List images in local storage\n/.test(groupHelp(GROUPS[1]!)));
});

Deno.test("a description is broken anew where one of its lines does not fit, but for its tables", () => {
  const description =
    "One line that is made for a wide screen, and\ngoes on here.\n  a  table of two\n\nThe end.";
  const help = (screen: number) => commandHelp({ ...COMMAND, description }, SAIL, "skiff sail", screen);
  ok(help(60).includes("for a wide screen, and\ngoes on here.\n  a  table"));
  ok(
    help(40).includes(
      "\nOne line that is made for a wide screen,\nand goes on here.\n  a  table of two\n\nThe end.\n",
    ),
  );
});

Deno.test("every command has usage, examples that name it, and options with distinct letters", async () => {
  for (const verb of VERBS) {
    const { command }: { command: Command } = await verb.load();
    ok(command.examples.length > 0, verb.name);
    ok(command.examples.some((example) => example.includes(`skiff ${verb.name}`)), verb.name);
    const letters = Object.values(command.flags).flatMap(({ short }) => short ?? []);
    assertEquals(new Set(letters).size, letters.length, verb.name);
    for (const line of commandHelp(command, verb, `skiff ${verb.name}`).split("\n")) {
      ok(line.length <= 120, line);
    }
    // its table of options, and paragraphs, on a narrow terminal
    const text = commandHelp({ ...command, examples: [], usage: "" }, verb, "skiff", 79);
    for (const line of text.replace(/^ {2}\S.*/gm, "").split("\n")) {
      ok(line.length <= 79 || !line.trim().includes(" "), line);
    }
  }
});

/** Manual pages, written from the tables that the help is written from. @see groff_man(7) */

import { type Command, type Flag, type Flags } from "./command.ts";
import { byName, ROOT_EXAMPLES, ROOT_FLAGS, visibleFlags } from "./help.ts";
import { type Topic, TOPICS } from "./topics.ts";
import { membersOf } from "./find_verb.ts";
import { ALL_GROUPS, GROUPS, type Verb, type VerbGroup, VERBS } from "./verbs.ts";

export interface ManPage {
  /** `skiff-run.1`. */
  file: string;
  roff: string;
}

/** Of the form of these pages; the same source gives the same bytes. */
const DATE = "2026-11-21";

/** All pages; every command is loaded. */
export async function manPages(version: string): Promise<ManPage[]> {
  const pages = [rootPage(version)];
  for (const verb of VERBS) pages.push(await verbPage(["skiff"], verb, version));
  for (const group of ALL_GROUPS) {
    pages.push(groupPage(group, version));
    const parents = ["skiff", ...group.name.split(" ")];
    for (const verb of group.verbs) pages.push(await verbPage(parents, verb, version));
  }
  return [...pages, ...TOPICS.map((topic) => topicPage(topic, version))];
}

function rootPage(version: string): ManPage {
  const summary = "run OCI containers without root and without a daemon";
  return page("skiff", 1, summary, version, [
    synopsis("skiff", "[options] COMMAND [ARG...]"),
    section(
      "COMMANDS",
      terms(byName(VERBS).map(({ name, summary }) => [reference(`skiff-${name}`, 1), summary])),
    ),
    section("GROUPS", terms(GROUPS.map(({ name, summary }) => [reference(`skiff-${name}`, 1), summary]))),
    section("OPTIONS", flagTerms(ROOT_FLAGS)),
    section("EXAMPLES", literal(ROOT_EXAMPLES)),
    section("SEE ALSO", seeAlso(TOPICS.map(({ name }) => [`skiff-${name}`, 7]))),
  ]);
}

function groupPage(group: VerbGroup, version: string): ManPage {
  const { name, summary } = group;
  const pageName = `skiff-${name.replaceAll(" ", "-")}`;
  const members = byName(membersOf(group)).map((verb): [string, string] => [
    reference(`${pageName}-${verb.name}`, 1),
    verb.summary,
  ]);
  return page(pageName, 1, summary, version, [
    synopsis(`skiff ${name}`, "COMMAND"),
    section("COMMANDS", terms(members)),
    section("SEE ALSO", seeAlso([["skiff", 1]])),
  ]);
}

async function verbPage(parents: string[], verb: Verb, version: string): Promise<ManPage> {
  const { command }: { command: Command } = await verb.load();
  const words = [...parents, verb.name];
  const sections = [
    synopsis(words.join(" "), command.usage),
    section("DESCRIPTION", text(`${verb.summary}.`) + paragraphs(command.description ?? "")),
  ];
  if (verb.aliases?.length) {
    sections.push(
      section("ALIASES", text(verb.aliases.map((name) => [...parents, name].join(" ")).join(", "))),
    );
  }
  if (Object.keys(command.flags).length > 0) sections.push(section("OPTIONS", flagTerms(command.flags)));
  if (command.examples.length > 0) sections.push(section("EXAMPLES", literal(command.examples)));
  sections.push(section("SEE ALSO", seeAlso([["skiff", 1], ["skiff-exit-codes", 7]])));
  return page(words.join("-"), 1, verb.summary, version, sections);
}

function topicPage({ name, summary, body }: Topic, version: string): ManPage {
  const parts = body.map((part) =>
    typeof part === "string"
      ? `.PP\n${text(part)}`
      : terms(part.map(([term, meaning]) => [`.B ${quoted(term)}`, meaning]))
  );
  return page(`skiff-${name}`, 7, summary, version, [
    section("DESCRIPTION", parts.join("").replace(/^\.PP\n/, "")),
    section("SEE ALSO", seeAlso([["skiff", 1]])),
  ]);
}

function page(name: string, volume: number, summary: string, version: string, parts: string[]): ManPage {
  const title = `.TH ${quoted(name.toUpperCase())} ${volume} ${DATE} ${
    quoted(`skiff ${version}`)
  } "skiff manual"\n`;
  const intro = section("NAME", `${escaped(name)} \\- ${escaped(lowerFirst(summary))}\n`);
  return { file: `${name}.${volume}`, roff: title + intro + parts.join("") };
}

function lowerFirst(summary: string): string {
  return summary.charAt(0).toLowerCase() + summary.slice(1);
}

function synopsis(path: string, usage: string): string {
  return section("SYNOPSIS", `.B ${quoted(path)}\n${text(usage)}`);
}

function section(title: string, body: string): string {
  return `.SH ${quoted(title)}\n${body}`;
}

/** Each term is a line of roff. */
function terms(rows: readonly (readonly [string, string])[]): string {
  return rows.map(([term, meaning]) => `.TP\n${term}\n${text(meaning)}`).join("");
}

function flagTerms(flags: Flags): string {
  return terms(visibleFlags(flags).map(([name, flag, meaning]) => [flagTerm(name, flag), meaning]));
}

function flagTerm(name: string, { kind, short, value }: Flag): string {
  const names = [...(short ? [`-${short}`] : []), `--${name}`].map((one) => `\\fB${escaped(one)}\\fR`);
  const argument = kind === "bool" ? "" : ` \\fI${escaped(value ?? kind)}\\fR`;
  return names.join(", ") + argument;
}

function literal(lines: readonly string[]): string {
  return `.EX\n${lines.map(text).join("")}.EE\n`;
}

function reference(name: string, volume: number): string {
  return `.BR ${escaped(name)} (${volume})`;
}

function seeAlso(pages: readonly (readonly [string, number])[]): string {
  return pages.map(([name, volume], index) => {
    return `${reference(name, volume)}${index < pages.length - 1 ? "," : ""}\n`;
  }).join("");
}

/** What is indented is a table and keeps its lines. */
function paragraphs(description: string): string {
  if (description === "") return "";
  const [, prose = "", table = ""] = /^([\s\S]*?)((?:\n {2}.*)*)$/.exec(description)!;
  const rows = table.split("\n").filter((line) => line !== "");
  return `.PP\n${prose.split("\n").map(text).join("")}${rows.length > 0 ? `.PP\n${literal(rows)}` : ""}`;
}

/** A line of text that no first character makes a request. */
function text(line: string): string {
  const shown = escaped(line);
  return `${/^[.']/.test(shown) ? "\\&" : ""}${shown}\n`;
}

const SPECIAL: Record<string, string> = {
  "\\": "\\e",
  "-": "\\-",
  "'": "\\(aq",
  "`": "\\(ga",
  "^": "\\(ha",
  "~": "\\(ti",
};

function escaped(line: string): string {
  return line.replace(
    /[\\\-'`^~]|[^\x20-\x7e]/gu,
    (char) => SPECIAL[char] ?? `\\[u${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}]`,
  );
}

/** An argument of a request. */
function quoted(word: string): string {
  return `"${escaped(word).replaceAll('"', "\\(dq")}"`;
}

/** Finds the command that words mean, and what a group has. */

import { NESTED_GROUPS } from "./noun_verbs.ts";
import type { Verb, VerbGroup } from "./verb.ts";
import { buildPrune, GROUPS, VERBS } from "./verbs.ts";

/** What a group's help lists: its commands, and the groups in it. */
export function membersOf({ name, verbs }: VerbGroup): Pick<Verb, "name" | "aliases" | "summary">[] {
  const nested = NESTED_GROUPS.filter((group) => group.name.startsWith(`${name} `));
  return [...verbs, ...nested.map((group) => ({ ...group, name: group.name.slice(name.length + 1) }))];
}

export interface FoundVerb {
  kind: "verb";
  verb: Verb;
  /** `skiff container list`. */
  path: string;
  /** What follows the name. */
  rest: string[];
}

export type Lookup =
  | FoundVerb
  | { kind: "group"; group: VerbGroup }
  | { kind: "unknown"; path: string; group?: VerbGroup; typed: string };

/** Finds the command that `words` begin with. */
export function findVerb(words: readonly string[]): Lookup {
  const [first = "", second, third] = words;
  // a context folder of that name is `./prune`
  if (first === "build" && second === "prune") {
    return { kind: "verb", verb: buildPrune, path: "skiff build prune", rest: words.slice(2) };
  }
  const verb = named(VERBS, first);
  if (verb) return { kind: "verb", verb, path: `skiff ${verb.name}`, rest: words.slice(1) };
  const group = GROUPS.find((candidate) => candidate.name === first);
  if (!group) return { kind: "unknown", path: `skiff ${first}`, typed: first };
  const nested = NESTED_GROUPS.find(({ name }) => name === `${first} ${second}`);
  return nested === undefined
    ? findMember(group, second, words.slice(2))
    : findMember(nested, third, words.slice(3));
}

function findMember(group: VerbGroup, typed: string | undefined, rest: string[]): Lookup {
  if (typed === undefined || typed.startsWith("-")) return { kind: "group", group };
  const verb = named(group.verbs, typed);
  if (!verb) return { kind: "unknown", path: `skiff ${group.name} ${typed}`, group, typed };
  return { kind: "verb", verb, path: `skiff ${group.name} ${verb.name}`, rest };
}

function named(verbs: readonly Verb[], name: string): Verb | undefined {
  return verbs.find((verb) => verb.name === name || verb.aliases?.includes(name));
}

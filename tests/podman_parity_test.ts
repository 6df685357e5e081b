/**
 * Proof beside podman: the same shell lines with skiff and with podman, and the same exit code, stdout and shape of
 * stderr. What differs on purpose says why in its table, podman_parity/.
 */

import type { Flags } from "../cli/command.ts";
import { findVerb, GROUPS as VERB_GROUPS, VERBS } from "../cli/verbs.ts";
import { assert, assertEquals, hostTest } from "./harness.ts";
import { type Aspect, differences } from "./podman_parity/compare.ts";
import { configurePodman, runLines } from "./podman_parity/engines.ts";
import { type Case, type Group, GROUPS } from "./podman_parity/table.ts";

const lineOf = (one: Case) => typeof one === "string" ? one : one.line;

/** Whether skiff has all commands and options of the line. */
async function isKnown(line: string): Promise<boolean> {
  const calls = line.split(/[|;>]/).map((part) => /\bE ((?:[a-z]+)(?: [a-z]+)?)(.*)/.exec(part));
  for (const [, words, rest] of calls.filter((call) => call !== null)) {
    const found = findVerb(words!.split(" "));
    if (found.kind === "unknown" && found.typed !== "nosuch") return false;
    if (found.kind !== "verb") continue;
    const flags = (await found.verb.load()).command.flags;
    const spelled = rest!.replace(/'[^']*'/g, "").match(/(?<= --)[a-z][a-z-]*/g) ?? [];
    if (!spelled.every((name) => name === "nosuch" || name === "help" || hasFlag(flags, name))) return false;
  }
  return true;
}

function hasFlag(flags: Flags, name: string): boolean {
  const { only } = flags[name] ?? {};
  return (name in flags && !only) || Object.values(flags).some(({ aliases }) => aliases?.includes(name));
}

/** What differs without a reason, and what has a reason but does not differ. */
function judge(one: Case, found: Map<Aspect, string>): string[] {
  const accepted = typeof one === "string" ? {} : one.differs;
  const complaints = [...found].filter(([aspect]) => !accepted[aspect]).map(([, text]) => text);
  for (const aspect of Object.keys(accepted) as Aspect[]) {
    if (!found.has(aspect)) complaints.push(`${aspect} does not differ any more`);
  }
  return complaints.map((complaint) => `${lineOf(one)}\n    ${complaint}`);
}

for (const group of GROUPS) {
  const needs = ["root", "registry", "podman", "crun", "python3"] as const;
  const name = `beside podman: ${group.name}`;
  hostTest(name, { needs: [...needs], timeoutMs: 240_000 }, async (host) => {
    await configurePodman(host);
    const image = await host.image();
    const { setUp, cases } = await knownPart(group);
    const lines = [...setUp, ...cases.map(lineOf)];
    const [ours, theirs] = await Promise.all([
      runLines(host, "skiff", image, lines),
      runLines(host, "podman", image, [...lines, "E rm -fa -t 0; E system migrate"]),
    ]);
    const complaints = cases.flatMap((one, index) => {
      const at = setUp.length + index;
      return judge(one, differences(ours[at]!, theirs[at]!));
    });
    if (complaints.length > 0) throw new Error(`${complaints.length} differences\n${complaints.join("\n")}`);
  });
}

async function knownPart({ setUp = [], cases }: Group): Promise<Required<Pick<Group, "setUp" | "cases">>> {
  const known = async (line: string) => [line, await isKnown(line)] as const;
  const state = new Map(await Promise.all([...setUp, ...cases.map(lineOf)].map(known)));
  const skipped = [...state].filter(([, is]) => !is).map(([line]) => line);
  if (skipped.length > 0) console.log(`not there yet:\n  ${skipped.join("\n  ")}`);
  if (!setUp.every((line) => state.get(line))) return { setUp: [], cases: [] };
  return {
    setUp,
    cases: cases.filter((one) => state.get(lineOf(one))),
  };
}

Deno.test("at least 150 lines stand beside podman, and every command that both have", () => {
  const lines = GROUPS.flatMap(({ cases }) => cases.map(lineOf));
  assert(lines.length >= 150, `${lines.length} lines`);
  const all = lines.join("\n");
  // podman 4.3 has no `volume rename`
  const ownOnly = ["man", "doctor", "volume rename"];
  const missing = [
    ...VERBS.map(({ name }) => name),
    ...VERB_GROUPS.filter(({ name }) => name !== "container" && name !== "image" && name !== "system")
      .flatMap(({ name, verbs }) => verbs.map((verb) => `${name} ${verb.name}`)),
  ].filter((name) =>
    !ownOnly.includes(name) && !new RegExp(`\\bE (container |image |system )?${name}\\b`).test(all)
  );
  assertEquals(missing, []);
});

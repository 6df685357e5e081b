/**
 * Proof beside podman: the same shell lines with skiff and with podman, and the same exit code, stdout and shape of
 * stderr. What differs on purpose says why in its table, podman_parity/.
 */

import { GROUPS as VERB_GROUPS, VERBS } from "../cli/verbs.ts";
import { assert, assertEquals, hostTest } from "./harness.ts";
import { type Aspect, differences } from "./podman_parity/compare.ts";
import { configurePodman, type Outcome, runLines } from "./podman_parity/engines.ts";
import { type Case, GROUPS } from "./podman_parity/table.ts";

const lineOf = (one: Case) => typeof one === "string" ? one : one.line;

/** What differs without a reason, and what has a reason but does not differ. */
function judge(one: Case, found: Map<Aspect, string>): string[] {
  const { differs: accepted, sometimes } = typeof one === "string" ? { differs: {} } : one;
  const complaints = [...found].filter(([aspect]) => !accepted[aspect]).map(([, text]) => text);
  for (const aspect of Object.keys(accepted) as Aspect[]) {
    if (!found.has(aspect) && !sometimes) complaints.push(`${aspect} does not differ any more`);
  }
  return complaints.map((complaint) => `${lineOf(one)}\n    ${complaint}`);
}

/**
 * On a busy machine podman 4.3 may lose all that a program of moments has printed: it is attached when the output has
 * been read already. Its exit code is 0 then, and it complains of nothing.
 */
function hasLostOutput(line: string, { code, stdout, stderr }: Outcome): boolean {
  const prints = /\b(cat|echo|env|grep|hostname|id|ls|pwd|readlink|stat|uname|wc)\b/;
  return /^E (run|start|attach) /.test(line) && prints.test(line) && code === 0 && stdout === "" &&
    stderr === "";
}

for (const group of GROUPS) {
  const needs = ["root", "registry", "podman", "crun", "python3"] as const;
  const name = `beside podman: ${group.name}`;
  hostTest(name, { needs: [...needs], timeoutMs: 900_000 }, async (host) => {
    await configurePodman(host);
    const image = await host.image();
    const { setUp = [], cases } = group;
    const lines = [...setUp, ...cases.map(lineOf)];
    const [ours, theirs] = await Promise.all([
      runLines(host, "skiff", image, lines),
      runLines(host, "podman", image, [...lines, "E rm -fa -t 0; E system migrate"]),
    ]);
    const complaints = cases.flatMap((one, index) => {
      const at = setUp.length + index;
      if (hasLostOutput(lineOf(one), theirs[at]!)) return [];
      return judge(one, differences(ours[at]!, theirs[at]!));
    });
    if (complaints.length > 0) throw new Error(`${complaints.length} differences\n${complaints.join("\n")}`);
  });
}

Deno.test("at least 150 lines stand beside podman, and every command that both have", () => {
  const lines = GROUPS.flatMap(({ cases }) => cases.map(lineOf));
  assert(lines.length >= 150, `${lines.length} lines`);
  const all = lines.join("\n");
  // podman 4.3 has none of them
  const ownOnly = [
    ...["volume clone", "volume restore", "volume snapshot"],
    ...["add", "extract", "inspect", "ls", "pull", "push", "rm"].map((verb) => `artifact ${verb}`),
    ...["man", "doctor", "volume rename", "system check", "system start-all"],
    ...["buildx du", "buildx ls", "buildx prune", "buildx use"],
  ];
  const names = [
    ...VERBS.map(({ name }) => name),
    ...VERB_GROUPS.flatMap(({ name, verbs }) => verbs.map((verb) => `${name} ${verb.name}`)),
  ];
  const hasLine = (name: string) => {
    const [group, verb] = name.split(" ");
    const spellings = verb !== undefined && group !== "volume" ? `(${name}|${verb})` : `(\\w+ )?${name}`;
    return new RegExp(`\\bE ${spellings}\\b`).test(all);
  };
  const missing = names.filter((name) => !ownOnly.includes(name) && !hasLine(name));
  assertEquals(missing, []);
});

/** What of an outcome is compared: without ids, times, sizes, and the engine's name. */

import type { Outcome } from "./engines.ts";

const VARYING: [RegExp, string][] = [
  [/\bpodman\b/g, "skiff"],
  [/\bPodman\b/g, "Skiff"],
  [/\b[0-9a-f]{64}\b/g, "ID"],
  [/\b[0-9a-f]{25}\b/g, "SECRETID"],
  [/\b[0-9a-f]{12}\b/g, "SHORTID"],
  [
    /\b(?:Less than a second|About an? \w+|\d+ (?:second|minute|hour|day|week|month|year)s?)( ago)?\b/g,
    "AGE$1",
  ],
  // what runs is said to be so "ago" by podman 4.3, and not by docker and later podman
  [/\bUp AGE ago\b/g, "Up AGE"],
  [/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?: ?(?:Z|[-+]\d\d:?\d\d))?(?: UTC)?/g, "TIME"],
  [/\b\d+(?:\.\d+)? ?[kMG]?B\b/g, "SIZE"],
  [/"(Pid|ConmonPid|Created|StartedAt|ExitedAt|Size|VirtualSize|SharedSize)": -?\d+/g, '"$1": N'],
  [/ +$/gm, ""],
  [/ {2,}/g, "  "],
];

/** Text that two runs and two engines can have in common. */
export function comparable(text: string): string {
  return VARYING.reduce((so, [pattern, name]) => so.replace(pattern, name), text);
}

/** The kinds of lines on stderr: errors, warnings, and what the program or the progress writes. */
export function shapeOf(stderr: string): string {
  const kinds = stderr.split("\n").filter((line) => line !== "").map((line) =>
    /^(Error|Warning|WARN|WARNING)\b/.exec(line)?.[1]?.slice(0, 4).toLowerCase() ?? "text"
  );
  // an error may be followed by a hint
  if (kinds[0] === "erro") return "error";
  return [...new Set(kinds)].sort().join(", ");
}

export type Aspect = "stdout" | "stderr" | "code";

/** What differs, with both sides. */
export function differences(skiff: Outcome, podman: Outcome): Map<Aspect, string> {
  const found = new Map<Aspect, string>();
  const compare = (aspect: Aspect, ours: string | number, theirs: string | number, detail = "") => {
    if (ours === theirs) return;
    found.set(aspect, `${aspect}: skiff ${JSON.stringify(ours)}, podman ${JSON.stringify(theirs)}${detail}`);
  };
  compare("code", skiff.code, podman.code);
  compare("stdout", comparable(skiff.stdout), comparable(podman.stdout));
  const detail = ` (skiff ${JSON.stringify(skiff.stderr)}, podman ${JSON.stringify(podman.stderr)})`;
  compare("stderr", shapeOf(skiff.stderr), shapeOf(podman.stderr), detail);
  return found;
}

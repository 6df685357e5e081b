/** "Did you mean this?": near names, or that start with what was typed. */

import { editDistance } from "../runtime/spec/edit_distance.ts";

/** The names of `known` that `typed` may have meant, in their order. */
export function suggest(typed: string, known: Iterable<string>): string[] {
  const wanted = typed.toLowerCase();
  return [...known].filter((name) => {
    const lower = name.toLowerCase();
    return lower.startsWith(wanted) || editDistance(wanted, lower) <= mayDiffer(wanted);
  });
}

/** Two edits, but no more than half of the word: `foo` is not `os`. */
function mayDiffer(typed: string): number {
  return Math.min(2, Math.max(1, Math.floor(typed.length / 2)));
}

/** What `diff` and `image diff` print. */

import type { Change, ChangeKind } from "../../runtime/engine/diff.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { escapeControl } from "./escape.ts";

const WORDS: Record<ChangeKind, string> = { C: "changed", A: "added", D: "deleted" };

/** To be called before the work is done. @throws {InvalidArgumentError} for anything but json and table */
export function checkChangesFormat(format: string | undefined): void {
  if (format !== undefined && !["", "json", "table"].includes(format)) {
    throw new InvalidArgumentError("only supported value for '--format' is 'json'");
  }
}

export function renderChanges(changes: readonly Change[], format: string | undefined): string {
  if (format === "json") return document(changes);
  return changes.map(({ kind, path }) => `${kind} ${escapeControl(path)}\n`).join("");
}

/** A list for each kind that there is, as podman has it. */
function document(changes: readonly Change[]): string {
  const lists: Record<string, string[]> = {};
  for (const kind of ["C", "A", "D"] as const) {
    const paths = changes.filter((change) => change.kind === kind).map(({ path }) => path);
    if (paths.length > 0) lists[WORDS[kind]] = paths;
  }
  return JSON.stringify(lists, undefined, 5) + "\n";
}

/** One action for each of several containers or images: all are tried, and every failure is told. */

import { printError } from "./output/print.ts";
import { renderError } from "./render_error.ts";

/**
 * Runs `action` for all targets at once and prints what each gives, in the order of the targets.
 *
 * @returns the exit code: 0, or the highest of the failures, which `exitCode` may judge
 */
export async function forEach<T>(
  targets: readonly T[],
  action: (target: T) => Promise<void>,
  exitCode: (error: unknown, standard: number) => number = (_error, standard) => standard,
): Promise<number> {
  let highest = 0;
  const results = await Promise.allSettled(targets.map(action));
  for (const result of results) {
    if (result.status === "fulfilled") continue;
    const rendered = renderError(result.reason, false);
    printError(rendered.text);
    highest = Math.max(highest, exitCode(result.reason, rendered.exitCode));
  }
  return highest;
}

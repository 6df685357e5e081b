/** One action for each of several containers or images: all are tried, and every failure is told. */

import { printError, ReaderGoneError } from "./output/print.ts";
import { renderError } from "./render_error.ts";

/** At most so many at once: some fork, and each holds a connection to a monitor. */
const CONCURRENCY = 8;

/**
 * Runs `action` for all targets, several at once; failures are told in the order of the targets.
 *
 * @returns the exit code: 0, or the highest of the failures, which `exitCode` may judge
 */
export async function forEach<T>(
  targets: readonly T[],
  action: (target: T) => Promise<void>,
  exitCode: (error: unknown, standard: number) => number = (_error, standard) => standard,
): Promise<number> {
  let highest = 0;
  const failures: unknown[] = [];
  let next = 0;
  const work = async () => {
    while (next < targets.length) {
      const index = next++;
      await action(targets[index]!).catch((error) => failures[index] = error);
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, targets.length) }, work));
  for (const error of Object.values(failures)) {
    if (error instanceof ReaderGoneError) throw error;
    const rendered = renderError(error, false);
    printError(rendered.text);
    highest = Math.max(highest, exitCode(error, rendered.exitCode));
  }
  return highest;
}

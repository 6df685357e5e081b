/** One action for each of several containers or images: all are tried, and every failure is told. */

import { print, printError, ReaderGoneError } from "./output/print.ts";
import { renderError } from "./render_error.ts";

/** At most so many at once: some fork, and each holds a connection to a monitor. */
const CONCURRENCY = 8;

/** The same one after another, for what forks: a fork wants this process at rest. */
export async function forEachInTurn<T>(
  targets: readonly T[],
  action: (target: T) => Promise<string | undefined>,
): Promise<number> {
  let code = 0;
  for (const target of targets) code = Math.max(code, await forEach([target], action));
  return code;
}

/**
 * Runs `action` for all targets, several at once; the lines it gives for stdout, and its failures, are told in the order of
 * the targets.
 *
 * @returns the exit code: 0, or the highest of the failures, which `exitCode` may judge
 */
export async function forEach<T>(
  targets: readonly T[],
  action: (target: T) => Promise<string | undefined>,
  exitCode: (error: unknown, standard: number) => number = (_error, standard) => standard,
): Promise<number> {
  let highest = 0;
  const failures: unknown[] = [];
  /** Of the actions that have ended; undefined where there is nothing to tell. */
  const lines: (string | undefined)[] = [];
  let next = 0;
  let told = 0;
  let unread: unknown;
  const tell = (line: string | undefined) => line !== undefined && print(`${line}\n`);
  const work = async () => {
    while (next < targets.length) {
      const index = next++;
      lines[index] = await action(targets[index]!).catch((error) => void (failures[index] = error));
      try {
        while (told in lines) tell(lines[told++]);
      } catch (error) {
        unread ??= error; // the others are done all the same
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, targets.length) }, work));
  if (unread !== undefined) throw unread;
  for (const error of Object.values(failures)) {
    if (error instanceof ReaderGoneError) throw error;
    const rendered = renderError(error, false);
    printError(rendered.text);
    highest = Math.max(highest, exitCode(error, rendered.exitCode));
  }
  return highest;
}

/** What writes an archive to stdout by its descriptor, and not through `print`. */

import { POLLERR } from "../../ffi/constants/poll.ts";
import { pollBlocking } from "../../ffi/poll.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { ReaderGoneError } from "./print.ts";

const STDOUT = 1;

/** A failure because nobody reads any more (`skiff save … | head`) is told as everywhere else: not at all. */
export async function streaming<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if ((pollBlocking(STDOUT, 0, 0) & POLLERR) !== 0) throw new ReaderGoneError();
    throw error;
  }
}

/** `output` is the file that was named; without one the archive goes to stdout. */
export function refuseTerminal(output: string | undefined, verb: "export" | "save"): void {
  if (output !== undefined || !Deno.stdout.isTerminal()) return;
  throw new InvalidArgumentError(`refusing to ${verb} to terminal. Use -o flag or redirect`);
}

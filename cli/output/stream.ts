/** What writes an archive to stdout by its descriptor, and not through `print`. */

import { POLLERR } from "../../ffi/constants/poll.ts";
import { pollBlocking } from "../../ffi/poll.ts";
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

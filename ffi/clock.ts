/** The time of day, by the kernel's clock: the runtime's own stands still while the machine sleeps. */

import { CLOCK_REALTIME } from "./constants/poll.ts";
import { libc } from "./libc.ts";

/** A moment since 1970, in two numbers that a double holds exactly. */
export interface Moment {
  seconds: number;
  nanoseconds: number;
}

const timespec = new BigInt64Array(2);
const timespecBytes = new Uint8Array(timespec.buffer);

/** @see clock_gettime(2) */
export function now(): Moment {
  libc("clock").clock_gettime(CLOCK_REALTIME, timespecBytes);
  return { seconds: Number(timespec[0]), nanoseconds: Number(timespec[1]) };
}

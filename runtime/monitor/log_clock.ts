/** The time stamps of logs: nanoseconds since 1970 as RFC 3339 text in UTC, made once per read. */

import { CLOCK_REALTIME } from "../../ffi/constants/poll.ts";
import { libc } from "../../ffi/libc.ts";

/** A moment, in two numbers that a double holds exactly. */
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

let lastSeconds = -1;
let lastText = "";

/** `2016-10-06T00:17:09.669794202`, without a zone. */
export function momentText(moment: Moment): string {
  if (moment.seconds !== lastSeconds) {
    lastSeconds = moment.seconds;
    lastText = new Date(moment.seconds * 1000).toISOString().slice(0, 19);
  }
  return `${lastText}.${String(moment.nanoseconds).padStart(9, "0")}`;
}

/** As the records have it: `2016-10-06T00:17:09.669794202Z`. */
export function nowText(): string {
  return momentText(now()) + "Z";
}

/** The time stamps of logs: nanoseconds since 1970 as RFC 3339 text in UTC, made once per read. */

import { type Moment, now } from "../../ffi/clock.ts";

export { type Moment, now };

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

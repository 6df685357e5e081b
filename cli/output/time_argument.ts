/** Times on the command line: durations and points in time of --since, --until, --interval and `until=`. */

import { InvalidArgumentError } from "../../runtime/errors.ts";
import { parseGoDuration as parseDuration } from "../../runtime/spec/duration.ts";

export { parseDuration };

/**
 * A point in time, in milliseconds since 1970: a duration before `nowMs`, seconds since 1970 with a
 * fraction, or a date with what podman allows to be left out: `2026-11-20`, `2026-11-20T23:55:04.5Z`.
 *
 * @throws {InvalidArgumentError} naming the option
 */
export function parseTime(text: string, option: string, nowMs: number): number {
  const duration = parseDuration(text);
  if (duration !== undefined && text !== "0") return nowMs - duration;
  if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const parts = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d(?:\.\d+)?))?)?)?(Z|[-+]\d\d:?\d\d)?$/
    .exec(text);
  if (parts) {
    const [, date, hour = "00", minute = "00", second = "00", zone = ""] = parts;
    // A fraction beyond milliseconds does not parse everywhere; the log's own clock is finer than needed.
    const clock = `${hour}:${minute}:${second.replace(/(\.\d{3})\d+$/, "$1")}`;
    const time = Date.parse(`${date}T${clock}${zone.replace(/(\d\d)(\d\d)$/, "$1:$2")}`);
    if (!Number.isNaN(time)) return time;
  }
  throw new InvalidArgumentError(`parse --${option} "${text}": not a time or a duration`);
}

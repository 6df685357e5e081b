/** Times on the command line: durations and points in time of --since, --until, --interval and `until=`. */

import { InvalidArgumentError } from "../../runtime/errors.ts";

const UNIT_MS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  "µs": 1e-3,
  "μs": 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of `1h30m`, `250ms`, `-5s`; undefined where it is none. @see Go's time.ParseDuration */
export function parseDuration(text: string): number | undefined {
  const sign = /^[-+]?/.exec(text)![0];
  const rest = text.slice(sign.length);
  if (rest === "0") return 0;
  if (!/^(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))*$/.test(rest)) {
    return undefined;
  }
  let total = 0;
  for (const [, number, , unit] of rest.matchAll(/(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    total += Number(number) * UNIT_MS[unit!]!;
  }
  return sign === "-" ? -total : total;
}

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

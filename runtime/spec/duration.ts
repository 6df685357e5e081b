/** Durations as Go writes them. @see https://pkg.go.dev/time#ParseDuration */

import { InvalidArgumentError } from "../errors.ts";
import { printable } from "./printable.ts";

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
export function parseGoDuration(text: string): number | undefined {
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

/** Milliseconds of a time to wait. @throws {InvalidArgumentError} in Go's words */
export function parseDelay(text: string): number {
  const ms = parseGoDuration(text);
  if (ms !== undefined && ms >= 0) return ms;
  throw new InvalidArgumentError(`time: invalid duration ${JSON.stringify(printable(text))}`);
}

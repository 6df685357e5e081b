/**
 * `--ulimit nofile=1024:2048`: resource limits as docker and podman write them.
 *
 * @see getrlimit(2), OCI runtime-spec config.md, rlimits
 */

import { InvalidArgumentError } from "../errors.ts";
import type { RlimitSpec } from "./runtime.ts";

/** `soft` or `hard` without a bound: RLIM_INFINITY, which is 2^64 - 1 and no JavaScript number. */
export const UNLIMITED = -1;

/** By their name on the command line; the value is the number of the RLIMIT_ constant. @see asm-generic/resource.h */
const RLIMITS: Record<string, number> = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
  rttime: 15,
};

/** The number for prlimit(2) of `RLIMIT_NOFILE` or `nofile`. */
export function rlimitNumber(type: string): number {
  const name = type.toLowerCase().replace(/^rlimit_/, "");
  const number = Object.hasOwn(RLIMITS, name) ? RLIMITS[name] : undefined;
  if (number === undefined) throw new InvalidArgumentError(`invalid ulimit type: ${type}`);
  return number;
}

/** Every `RLIMIT_…` of getrlimit(2), in the order of their numbers. */
export const RLIMIT_TYPES: readonly string[] = Object.keys(RLIMITS).map((name) =>
  `RLIMIT_${name.toUpperCase()}`
);

/** One `--ulimit`: `nofile=1024`, `nofile=1024:2048`, `core=-1`; -1 is unlimited. `host` is not for this. */
export function parseUlimit(text: string): RlimitSpec {
  const equals = text.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError(`invalid ulimit argument: ${text}`);
  const name = text.slice(0, equals);
  if (!Object.hasOwn(RLIMITS, name)) throw new InvalidArgumentError(`invalid ulimit type: ${name}`);

  const values = text.slice(equals + 1).split(":");
  if (values.length > 2) {
    throw new InvalidArgumentError(
      `too many limit value arguments - ${values.join(":")}, can only have up to two, \`soft[:hard]\``,
    );
  }
  const soft = parseLimit(values[0]!, text);
  const hard = values[1] === undefined ? soft : parseLimit(values[1], text);
  if (compareLimits(soft, hard) > 0) {
    throw new InvalidArgumentError(
      `ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`,
    );
  }
  return { type: `RLIMIT_${name.toUpperCase()}`, soft, hard };
}

/**
 * All `--ulimit` words of a command line; a later one wins. `host` keeps the caller's own limits, which is what
 * a process has that changes nothing. An unprivileged user's -1 becomes the caller's hard limit, as podman
 * does it: raising a hard limit takes CAP_SYS_RESOURCE on the host.
 */
export function resolveUlimits(
  texts: readonly string[],
  caller: { rootless: boolean; hardLimit: (type: string) => number },
): RlimitSpec[] {
  const limits = new Map<string, RlimitSpec>();
  for (const text of texts) {
    if (text === "host") {
      limits.clear();
      continue;
    }
    const limit = parseUlimit(text);
    if (caller.rootless && (limit.soft === UNLIMITED || limit.hard === UNLIMITED)) {
      const ceiling = caller.hardLimit(limit.type);
      if (limit.soft === UNLIMITED) limit.soft = ceiling;
      if (limit.hard === UNLIMITED) limit.hard = ceiling;
    }
    limits.set(limit.type, limit);
  }
  return [...limits.values()];
}

function parseLimit(value: string, text: string): number {
  if (value === "-1" || value === "unlimited") return UNLIMITED;
  const number = Number(value);
  if (!/^\d+$/.test(value) || !Number.isSafeInteger(number)) {
    throw new InvalidArgumentError(`invalid ulimit argument: ${text}`);
  }
  return number;
}

function compareLimits(a: number, b: number): number {
  const [x, y] = [a, b].map((limit) => limit === UNLIMITED ? Infinity : limit) as [number, number];
  return x < y ? -1 : x > y ? 1 : 0;
}

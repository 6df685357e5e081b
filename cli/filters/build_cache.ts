/** `--filter` of `builder prune` and `buildx du`. @see docs.docker.com/reference/cli/docker/buildx/prune */

import type { BuildCacheEntry } from "../../runtime/engine/build_prune.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { parseFilters } from "../output/list.ts";
import { parseTime } from "../output/time_argument.ts";

/** For completion. */
export const FILTER_KEYS: readonly string[] = [
  "until",
  "unused-for",
  "id",
  "type",
  "inuse",
  "shared",
  "private",
  "description",
];

/** Those that every `--filter` is true of. */
export function filterCache(
  entries: readonly BuildCacheEntry[],
  filters: readonly string[],
  nowMs: number,
): BuildCacheEntry[] {
  const tests = parseFilters(filters, FILTER_KEYS).map(({ key, value }) => cacheTest(key, value, nowMs));
  return entries.filter((entry) => tests.every((test) => test(entry)));
}

function cacheTest(key: string, value: string, nowMs: number): (entry: BuildCacheEntry) => boolean {
  switch (key) {
    case "id":
      return ({ ID }) => ID.startsWith(value.replace(/^sha256:/, ""));
    case "type":
      return ({ CacheType }) => CacheType === value;
    case "description":
      return ({ Description }) => Description.includes(value);
    case "inuse":
      return ({ InUse }) => InUse === truth(key, value);
    case "shared":
      return ({ Shared }) => Shared === truth(key, value);
    case "private":
      return ({ Shared }) => Shared !== truth(key, value);
    default: {
      const before = parseTime(value, `filter ${key}`, nowMs);
      return ({ LastUsedAt }) => Date.parse(LastUsedAt) < before;
    }
  }
}

function truth(key: string, value: string): boolean {
  if (/^(1|t|true)$/i.test(value)) return true;
  if (/^(0|f|false)$/i.test(value)) return false;
  throw new InvalidArgumentError(`filter ${key}=${value}: it is true or false`);
}

import { deepStrictEqual as assertEquals } from "node:assert";
import { type BuildCacheEntry, type BuildPruneOptions, choosePruned } from "./build_prune.ts";

function entry(ID: string, more: Partial<BuildCacheEntry> = {}): BuildCacheEntry {
  const time = "2026-01-01T00:00:00Z";
  return {
    ID,
    Parent: "",
    CacheType: "regular",
    Description: ID,
    Size: 10,
    CreatedAt: time,
    LastUsedAt: time,
    UsageCount: 1,
    InUse: false,
    Shared: false,
    ...more,
  };
}

const ENTRIES = [
  entry("aa", { LastUsedAt: "2025-01-01T00:00:00Z" }),
  entry("ab", { Shared: true }),
  entry("b", { InUse: true }),
  entry("c", { CacheType: "exec.cachemount" }),
  entry("d"),
];

const cases: [what: string, options: BuildPruneOptions, chosen: string[]][] = [
  ["what no image shares and no build uses", {}, ["aa", "c", "d"]],
  ["all but what is in use", { all: true }, ["aa", "ab", "c", "d"]],
  ["what was not used since a time", { unusedSince: Date.parse("2025-06-01T00:00:00Z") }, ["aa"]],
  ["by the beginning of an id", { all: true, ids: ["a"] }, ["aa", "ab"]],
  ["by type", { types: ["exec.cachemount"] }, ["c"]],
  ["the least recently used down to a size", { keepBytes: 35 }, ["aa", "c"]],
  ["nothing where the size is not reached", { keepBytes: 50 }, []],
];

for (const [what, options, chosen] of cases) {
  Deno.test(`prune takes ${what}`, () =>
    assertEquals(choosePruned(ENTRIES, options).map(({ ID }) => ID), chosen));
}

/** The build cache as docker shows it. @see docs.docker.com/reference/cli/docker/buildx/du */

import type { BuildCacheEntry } from "../../runtime/engine/build_prune.ts";
import { escapeControl } from "./escape.ts";
import { humanAge, humanSize, shortId } from "./humanize.ts";
import { renderTable } from "./table.ts";

/** A row for each, and what they come to. */
export function cacheTable(entries: readonly BuildCacheEntry[], nowMs: number, noTrunc = false): string {
  const rows = entries.map(({ ID, InUse, Size, LastUsedAt }) => [
    noTrunc ? ID : shortId(ID),
    String(!InUse),
    humanSize(Size),
    humanAge(LastUsedAt, nowMs),
  ]);
  return renderTable([["ID", "RECLAIMABLE", "SIZE", "LAST ACCESSED"], ...rows]);
}

/** Each in words, as `--verbose` shows them. */
export function cacheDetails(entries: readonly BuildCacheEntry[], nowMs: number): string {
  return entries.map((entry) => {
    const rows: [string, string][] = [
      ["ID:", entry.ID],
      ["Parent:", entry.Parent],
      ["Created at:", entry.CreatedAt],
      ["Mutable:", String(entry.CacheType === "exec.cachemount")],
      ["Reclaimable:", String(!entry.InUse)],
      ["Shared:", String(entry.Shared)],
      ["Size:", humanSize(entry.Size)],
      ["Description:", entry.Description],
      ["Usage count:", String(entry.UsageCount)],
      ["Last used:", humanAge(entry.LastUsedAt, nowMs)],
      ["Type:", entry.CacheType],
    ];
    return rows.filter(([, value]) => value !== "").map(([name, value]) =>
      `${name.padEnd(16)}${escapeControl(value)}\n`
    ).join("");
  }).join("\n");
}

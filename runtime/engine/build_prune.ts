/**
 * The build cache as a user sees it, and `build prune`: what steps have made, what ADD has downloaded, and the folders of
 * cache mounts.
 *
 * What a build that is on its way has found keeps its files: they go with the first removal after its end.
 */

import { downloadsFolder } from "../build/context/downloads.ts";
import { cacheMountsFolder } from "../build/run/cache_mounts.ts";
import type { Digest } from "../spec/digest.ts";
import { type CacheRecord, deleteCached, listCached } from "../state/build_cache.ts";
import { listAllLayers } from "../state/images.ts";
import { deleteDownload, listDownloads } from "../state/build_downloads.ts";
import type { Database } from "../state/db.ts";
import { isThere, namesIn } from "../state/listing.ts";
import { type HeldLock, tryLock } from "../state/locks.ts";
import { layerBytes, layerForm } from "../storage/layers.ts";
import { treeSizes } from "../storage/tree_sizes.ts";
import type { Engine } from "./engine.ts";
import { collectImageGarbage, discard } from "./garbage.ts";

/** One thing that builds have kept. */
export interface BuildCacheEntry {
  /** 64 hex digits: the key of a step or an address, or the name of a cache mount's folder. */
  ID: string;
  /** Of the step that it stands on; "" for none. */
  Parent: string;
  /** As docker has it: `regular` for a step or a download, `exec.cachemount` for a cache mount. */
  CacheType: "regular" | "exec.cachemount";
  Description: string;
  Size: number;
  CreatedAt: string;
  LastUsedAt: string;
  UsageCount: number;
  /** A running build has it. */
  InUse: boolean;
  /** An image has the same layer, so that removing it frees nothing. */
  Shared: boolean;
}

export interface BuildPruneOptions {
  /** Also what images share with the cache, and cache mounts. */
  all?: boolean;
  /** Not used since then, milliseconds since 1970: `until=24h`. */
  unusedSince?: number;
  /** Ids, or beginnings of them. */
  ids?: readonly string[];
  types?: readonly string[];
  /** The least recently used go until no more than this is left, in bytes: `--keep-storage`, `--max-used-space`. */
  keepBytes?: number;
}

export interface BuildPruned {
  removed: BuildCacheEntry[];
  /** Bytes. */
  freed: number;
}

/** The least recently used first. */
export async function buildCache(engine: Engine): Promise<BuildCacheEntry[]> {
  const db = await engine.database();
  const form = layerForm(engine.namespaces);
  const ofImages = new Set(listAllLayers(db).map(({ diffId }) => diffId));
  const steps = listCached(db).map((record: CacheRecord): BuildCacheEntry => ({
    ID: record.key,
    Parent: record.parent,
    CacheType: "regular",
    Description: record.description,
    Size: record.layer === null
      ? 0
      : layerBytes(engine.folders, record.layer.diffId as Digest, form) ?? record.layer.size,
    CreatedAt: record.createdAt,
    LastUsedAt: record.usedAt,
    UsageCount: record.uses,
    InUse: false,
    Shared: record.layer !== null && ofImages.has(record.layer.diffId),
  }));
  const downloads = listDownloads(db).map((record): BuildCacheEntry => ({
    ID: record.key,
    Parent: "",
    CacheType: "regular",
    Description: `http url ${record.url}`,
    Size: record.size,
    CreatedAt: record.createdAt,
    LastUsedAt: record.usedAt,
    UsageCount: record.uses,
    InUse: false,
    Shared: false,
  }));
  const mounts = await measureMounts(engine);
  return [...steps, ...downloads, ...mounts].sort((a, b) =>
    Date.parse(a.LastUsedAt) - Date.parse(b.LastUsedAt)
  );
}

/** Folders of `RUN --mount=type=cache`. @see ../build/run/cache_mounts.ts */
async function measureMounts(engine: Engine): Promise<BuildCacheEntry[]> {
  const folder = cacheMountsFolder(engine.folders);
  const names = namesIn(folder).sort();
  const sizes = await treeSizes(engine, names.map((name) => `${folder}/${name}/content`));
  return names.flatMap((name, index): BuildCacheEntry[] => {
    const lock = `${folder}/${name}/lock`;
    // being made, or removed, just now
    if (!isThere(lock)) return [];
    const { birthtime, mtime } = Deno.statSync(lock);
    return [{
      ID: name,
      Parent: "",
      CacheType: "exec.cachemount",
      Description: "cache mount",
      Size: sizes[index]!,
      CreatedAt: (birthtime ?? mtime ?? new Date(0)).toISOString(),
      LastUsedAt: (mtime ?? new Date(0)).toISOString(),
      UsageCount: 1,
      InUse: isHeld(lock),
      Shared: false,
    }];
  });
}

function isHeld(path: string): boolean {
  using lock = tryExisting(path);
  return lock === null;
}

/** Null where somebody holds it, or another removal was faster. */
function tryExisting(path: string): HeldLock | null {
  try {
    return tryLock(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Whoever waits for its lock finds the folder gone, and makes a new one. */
function removeMount(engine: Engine, name: string): boolean {
  const path = `${cacheMountsFolder(engine.folders)}/${name}`;
  if (!isThere(`${path}/lock`)) return false;
  using lock = tryExisting(`${path}/lock`);
  return lock !== null && lock.isCurrent() && discard(engine, path);
}

/** Builds that are reading the file have links of their own. */
function removeDownloads(engine: Engine, db: Database): void {
  const folder = downloadsFolder(engine.folders);
  const kept = new Set(listDownloads(db).map(({ key }) => key));
  for (const name of namesIn(folder)) if (!kept.has(name)) discard(engine, `${folder}/${name}`);
}

/** Removes what the options choose. */
export async function buildPrune(engine: Engine, options: BuildPruneOptions = {}): Promise<BuildPruned> {
  const entries = await buildCache(engine);
  const chosen = choosePruned(entries, options);
  const removed: BuildCacheEntry[] = [];
  const db = await engine.database();
  await db.transaction(() => {
    for (const entry of chosen) {
      if (deleteCached(db, entry.ID) || deleteDownload(db, entry.ID)) removed.push(entry);
    }
  });
  removeDownloads(engine, db);
  for (const entry of chosen) {
    if (entry.CacheType === "exec.cachemount" && removeMount(engine, entry.ID)) removed.push(entry);
  }
  if (removed.length > 0) await collectImageGarbage(engine);
  return { removed, freed: removed.reduce((sum, { Shared, Size }) => sum + (Shared ? 0 : Size), 0) };
}

/** Which entries go; `entries` are the least recently used first. Pure. */
export function choosePruned(
  entries: readonly BuildCacheEntry[],
  { all = false, unusedSince, ids, types, keepBytes }: BuildPruneOptions,
): BuildCacheEntry[] {
  const isChosen = (entry: BuildCacheEntry) =>
    !entry.InUse && (all || !entry.Shared) &&
    (unusedSince === undefined || Date.parse(entry.LastUsedAt) < unusedSince) &&
    (ids === undefined || ids.some((id) => entry.ID.startsWith(id))) &&
    (types === undefined || types.includes(entry.CacheType));
  const candidates = entries.filter(isChosen);
  if (keepBytes === undefined) return candidates;
  let total = entries.reduce((sum, { Size }) => sum + Size, 0);
  const chosen: BuildCacheEntry[] = [];
  for (const entry of candidates) {
    if (total <= keepBytes) break;
    chosen.push(entry);
    total -= entry.Size;
  }
  return chosen;
}

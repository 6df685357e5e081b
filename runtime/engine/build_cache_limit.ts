/** After a build: what builds have kept may not fill the disk. */

import { filesystemSizeOf } from "../../ffi/mount.ts";
import type { Engine } from "./engine.ts";

/** So much may always be kept. */
const LEAST_BYTES = 10 * 1024 ** 3;
/** And so much of the file system, where that is more; BuildKit's share. */
const SHARE = 0.1;
/** Layers may be packed where they are counted first, and are not where they lie. */
const PACKED_AT_MOST = 4;

/**
 * Removes what was used least recently, where builds have kept more than the limit; layers that images share stay, and
 * so does what a build uses just now. Does nothing where another command is about to remove things.
 *
 * @param limitBytes by default a tenth of the file system, but not less than 10 GiB; 0 is no limit
 */
export async function limitBuildCache(engine: Engine, limitBytes?: number): Promise<void> {
  if (limitBytes === 0) return;
  const db = await engine.database();
  const archived = ["build_cache", "build_downloads"].reduce(
    (sum, table) => sum + Number(db.get(`SELECT coalesce(sum(size), 0) AS bytes FROM ${table}`)?.bytes ?? 0),
    0,
  );
  // the usual case, without looking at the disk
  if (archived * PACKED_AT_MOST <= (limitBytes ?? LEAST_BYTES)) return;
  const { buildPrune } = await import("./build_prune.ts");
  await buildPrune(engine, {
    keepBytes: limitBytes ?? defaultLimit(engine.folders.data),
    types: ["regular"],
  });
}

function defaultLimit(folder: string): number {
  return Math.max(LEAST_BYTES, Math.floor(SHARE * filesystemSizeOf(folder).totalBytes));
}

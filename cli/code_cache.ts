/**
 * Deno keeps what V8 has compiled in SQLite files beside the packed program. It leaves them with all that was ever
 * written in their write-ahead logs, which every start then reads from end to end: 4 ms for 3 MB.
 */

const LOG_LIMIT_BYTES = 256 * 1024;
const FILES = ["v8_code_cache_v2", "dep_analysis_cache_v2", "node_analysis_cache_v2"];

const folder = () => Deno.execPath().replace(/[^/]*$/, "cache");

/** Whether this start, or those before it, wrote enough that folding it in pays. */
export function isCodeCacheLogLong(): boolean {
  try {
    return Deno.statSync(`${folder()}/${FILES[0]}-wal`).size > LOG_LIMIT_BYTES;
  } catch {
    return false; // none: the folder cannot be written, or all is folded in
  }
}

/** Folds the logs into the files. What others hold open stays for a later start. */
export async function foldCodeCacheLogs(): Promise<void> {
  const { DatabaseSync } = await import("node:sqlite");
  for (const name of FILES) {
    try {
      const db = new DatabaseSync(`${folder()}/${name}`);
      db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      db.close();
    } catch {
      // It is a cache: whatever is wrong with it, the command has done its work.
    }
  }
}

/**
 * Deno keeps what V8 has compiled in SQLite files beside the packed program. It leaves them with all that was ever
 * written in their write-ahead logs, which every start then reads from end to end.
 */

import { FOLD_LOG, isLogLong } from "../runtime/state/long_log.ts";

const FILES = ["v8_code_cache_v2", "dep_analysis_cache_v2", "node_analysis_cache_v2"];

function folder(): string {
  const path = Deno.execPath();
  return `${path.slice(0, path.lastIndexOf("/"))}/cache`;
}

/** Whether this start, or those before it, wrote enough that folding it in pays. */
export function isCodeCacheLogLong(): boolean {
  return isLogLong(`${folder()}/${FILES[0]}`);
}

/** Folds the logs into the files. What others hold open stays for a later start. */
export async function foldCodeCacheLogs(): Promise<void> {
  const { DatabaseSync } = await import("node:sqlite");
  for (const name of FILES) {
    try {
      const db = new DatabaseSync(`${folder()}/${name}`);
      db.exec(FOLD_LOG);
      db.close();
    } catch {
      // It is a cache: whatever is wrong with it, the command has done its work.
    }
  }
}

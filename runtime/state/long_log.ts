/**
 * Write-ahead logs of SQLite that a process left as long as they had grown: whoever opens the database next reads all
 * of it, 4 ms for 3 MB.
 *
 * @see https://www.sqlite.org/wal.html
 */

/** A log of this size is worth a sync: 15 containers or so are in it. */
const LIMIT_BYTES = 256 * 1024;

/** Folds the log into the database that it is executed on, and empties it. */
export const FOLD_LOG = "PRAGMA wal_checkpoint(TRUNCATE)";

/** Whether folding in the log of the database at `path` pays; not where there is none. */
export function isLogLong(path: string): boolean {
  try {
    return Deno.statSync(`${path}-wal`).size > LIMIT_BYTES;
  } catch {
    return false; // all is folded in, or the folder cannot be written
  }
}

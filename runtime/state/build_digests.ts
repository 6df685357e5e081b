/** Table of content digests that builds have found in snapshots. It only saves time: anything of it may be lost. */

import type { Database } from "./db.ts";

const KEPT = 20_000;
const DAY_SEC = 24 * 3600;

/** What was found under the key. */
export function recallDigest(
  db: Database,
  key: string,
  nowSec = Math.floor(Date.now() / 1000),
): string | undefined {
  const row = db.get("SELECT digest, used FROM build_digests WHERE key = ?", key);
  if (row === undefined) return undefined;
  if (nowSec - Number(row.used) > DAY_SEC) {
    db.run("UPDATE build_digests SET used = ? WHERE key = ?", nowSec, key);
  }
  return String(row.digest);
}

/** Keeps it; what was not used for longest goes where there are too many. */
export function rememberDigest(
  db: Database,
  key: string,
  digest: string,
  { nowSec = Math.floor(Date.now() / 1000), kept = KEPT } = {},
): void {
  db.run("INSERT OR REPLACE INTO build_digests (key, digest, used) VALUES (?, ?, ?)", key, digest, nowSec);
  if (Number(db.get("SELECT count(*) AS n FROM build_digests")?.n) <= kept) return;
  db.run(
    "DELETE FROM build_digests WHERE key IN (SELECT key FROM build_digests ORDER BY used LIMIT ?)",
    Math.ceil(kept / 10),
  );
}

/** Table of what layers were packed into. It only saves time: anything of it may be lost. */

import type { Digest } from "../spec/digest.ts";
import type { Database } from "./db.ts";

const KEPT = 5_000;

export interface PackedRecord {
  digest: Digest;
  size: number;
}

export function recallPacked(db: Database, diffId: string, packing: string): PackedRecord | undefined {
  const row = db.get(
    "SELECT digest, size FROM packed_layers WHERE diff_id = ? AND packing = ?",
    diffId,
    packing,
  );
  return row && { digest: String(row.digest) as Digest, size: Number(row.size) };
}

/** What was made longest ago goes where there are too many. */
export function rememberPacked(
  db: Database,
  diffId: string,
  packing: string,
  { digest, size }: PackedRecord,
  kept = KEPT,
): void {
  const nowSec = Math.floor(Date.now() / 1000);
  db.run(
    "INSERT OR REPLACE INTO packed_layers (diff_id, packing, digest, size, used) VALUES (?, ?, ?, ?, ?)",
    diffId,
    packing,
    digest,
    size,
    nowSec,
  );
  db.run(
    `DELETE FROM packed_layers WHERE (diff_id, packing) IN
     (SELECT diff_id, packing FROM packed_layers ORDER BY used DESC LIMIT -1 OFFSET ?)`,
    kept,
  );
}

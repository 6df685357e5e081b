/** Table of what layers were packed into. It only saves time: anything of it may be lost. */

import type { Digest } from "../spec/digest.ts";
import type { Database } from "./db.ts";

const KEPT = 5_000;

export interface PackedRecord {
  digest: Digest;
  size: number;
  /** Of the layer's descriptor. */
  annotations?: Record<string, string>;
}

export function recallPacked(db: Database, diffId: string, packing: string): PackedRecord | undefined {
  const row = db.get(
    "SELECT digest, size, annotations FROM packed_layers WHERE diff_id = ? AND packing = ?",
    diffId,
    packing,
  );
  if (row === undefined) return undefined;
  const annotations = row.annotations === null ? undefined : JSON.parse(String(row.annotations));
  return { digest: String(row.digest) as Digest, size: Number(row.size), annotations };
}

/** What was made longest ago goes where there are too many. */
export function rememberPacked(
  db: Database,
  diffId: string,
  packing: string,
  { digest, size, annotations }: PackedRecord,
  kept = KEPT,
): void {
  const nowSec = Math.floor(Date.now() / 1000);
  db.run(
    `INSERT OR REPLACE INTO packed_layers (diff_id, packing, digest, size, used, annotations)
     VALUES (?, ?, ?, ?, ?, ?)`,
    diffId,
    packing,
    digest,
    size,
    nowSec,
    annotations === undefined ? null : JSON.stringify(annotations),
  );
  db.run(
    `DELETE FROM packed_layers WHERE (diff_id, packing) IN
     (SELECT diff_id, packing FROM packed_layers ORDER BY used DESC LIMIT -1 OFFSET ?)`,
    kept,
  );
}

/** Table of the build cache: what a step made of what it read. */

import type { Database, Row } from "./db.ts";

export interface CacheRecord {
  /** Hex. */
  key: string;
  kind: string;
  /** As progress shows the step: `[build 3/7] RUN make`. */
  description: string;
  /** Key of the files it stands on; "" for none. */
  parent: string;
  /** Null: the step changed nothing. */
  layer: { diffId: string; digest: string; size: number; mediaType: string } | null;
  createdAt: string;
  usedAt: string;
  uses: number;
}

export function findCached(db: Database, key: string): CacheRecord | undefined {
  const row = db.get("SELECT * FROM build_cache WHERE key = ?", key);
  return row && toRecord(row);
}

/** Adds a record, or replaces the one that is there. */
export function putCached(db: Database, record: CacheRecord): void {
  const { layer } = record;
  db.run(
    `INSERT INTO build_cache (key, kind, description, parent, diff_id, digest, size, media_type, created_at, used_at, uses)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, description = excluded.description,
       parent = excluded.parent, diff_id = excluded.diff_id, digest = excluded.digest, size = excluded.size,
       media_type = excluded.media_type, created_at = excluded.created_at, used_at = excluded.used_at,
       uses = excluded.uses`,
    record.key,
    record.kind,
    record.description,
    record.parent,
    layer?.diffId ?? null,
    layer?.digest ?? null,
    layer?.size ?? 0,
    layer?.mediaType ?? null,
    record.createdAt,
    record.usedAt,
    record.uses,
  );
}

/** The records were used. To be called in a transaction. */
export function touchCached(db: Database, keys: Iterable<string>, usedAt: string): void {
  for (const key of keys) {
    db.run("UPDATE build_cache SET used_at = ?, uses = uses + 1 WHERE key = ?", usedAt, key);
  }
}

/** The least recently used first. */
export function listCached(db: Database): CacheRecord[] {
  return db.all("SELECT * FROM build_cache ORDER BY used_at, created_at, key").map(toRecord);
}

export function deleteCached(db: Database, key: string): boolean {
  return db.run("DELETE FROM build_cache WHERE key = ?", key) > 0;
}

function toRecord(row: Row): CacheRecord {
  return {
    key: String(row.key),
    kind: String(row.kind),
    description: String(row.description),
    parent: String(row.parent),
    layer: row.diff_id === null ? null : {
      diffId: String(row.diff_id),
      digest: String(row.digest),
      size: Number(row.size),
      mediaType: String(row.media_type),
    },
    createdAt: String(row.created_at),
    usedAt: String(row.used_at),
    uses: Number(row.uses),
  };
}

/** Tables of the build cache: what a step made, and the keys that lead to it. */

import type { Database, Row } from "./db.ts";

export interface CacheRecord {
  /** Hex; the key it was made for. */
  id: string;
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
  const row = db.get(
    `SELECT build_cache.* FROM build_cache JOIN build_cache_keys ON build_cache_keys.record = build_cache.id
     WHERE build_cache_keys.key = ?`,
    key,
  );
  return row && toRecord(row);
}

/** Adds a record under its keys; one that is there is replaced. To be called in a transaction. */
export function putCached(db: Database, record: CacheRecord, keys: readonly string[]): void {
  const { layer } = record;
  db.run(
    `INSERT INTO build_cache (id, kind, description, parent, diff_id, digest, size, media_type, created_at, used_at, uses)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, description = excluded.description,
       parent = excluded.parent, diff_id = excluded.diff_id, digest = excluded.digest, size = excluded.size,
       media_type = excluded.media_type, created_at = excluded.created_at, used_at = excluded.used_at,
       uses = excluded.uses`,
    record.id,
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
  for (const key of keys) putCacheKey(db, key, record.id);
}

/** Lets one more key lead to a record. */
export function putCacheKey(db: Database, key: string, record: string): void {
  db.run(
    `INSERT INTO build_cache_keys (key, record) VALUES (?, ?)
     ON CONFLICT (key) DO UPDATE SET record = excluded.record`,
    key,
    record,
  );
}

/** The records were used. To be called in a transaction. */
export function touchCached(db: Database, ids: Iterable<string>, usedAt: string): void {
  for (const id of ids) {
    db.run("UPDATE build_cache SET used_at = ?, uses = uses + 1 WHERE id = ?", usedAt, id);
  }
}

/** The least recently used first. */
export function listCached(db: Database): CacheRecord[] {
  return db.all("SELECT * FROM build_cache ORDER BY used_at, created_at, id").map(toRecord);
}

export function deleteCached(db: Database, id: string): boolean {
  return db.run("DELETE FROM build_cache WHERE id = ?", id) > 0;
}

function toRecord(row: Row): CacheRecord {
  return {
    id: String(row.id),
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

/** Table of the files that builds have downloaded: what their servers know them by. The files are in `build-http/`. */

import type { Database, Row } from "./db.ts";

export interface DownloadRecord {
  /** Hex, of the address. */
  key: string;
  /** Without user and password. */
  url: string;
  etag?: string;
  lastModified?: string;
  size: number;
  createdAt: string;
  usedAt: string;
  uses: number;
}

export function findDownload(db: Database, key: string): DownloadRecord | undefined {
  const row = db.get("SELECT * FROM build_downloads WHERE key = ?", key);
  return row && toRecord(row);
}

/** Adds a record, or replaces the one that is there. */
export function putDownload(db: Database, record: DownloadRecord): void {
  db.run(
    "INSERT OR REPLACE INTO build_downloads (key, url, etag, last_modified, size, created_at, used_at, uses) " +
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    record.key,
    record.url,
    record.etag ?? null,
    record.lastModified ?? null,
    record.size,
    record.createdAt,
    record.usedAt,
    record.uses,
  );
}

export function touchDownload(db: Database, key: string, usedAt: string): void {
  db.run("UPDATE build_downloads SET used_at = ?, uses = uses + 1 WHERE key = ?", usedAt, key);
}

/** The least recently used first. */
export function listDownloads(db: Database): DownloadRecord[] {
  return db.all("SELECT * FROM build_downloads ORDER BY used_at, key").map(toRecord);
}

export function deleteDownload(db: Database, key: string): boolean {
  return db.run("DELETE FROM build_downloads WHERE key = ?", key) > 0;
}

function toRecord(row: Row): DownloadRecord {
  return {
    key: String(row.key),
    url: String(row.url),
    ...(row.etag !== null && { etag: String(row.etag) }),
    ...(row.last_modified !== null && { lastModified: String(row.last_modified) }),
    size: Number(row.size),
    createdAt: String(row.created_at),
    usedAt: String(row.used_at),
    uses: Number(row.uses),
  };
}

/** Table of artifacts: names that lead to manifests whose blobs are kept beside those of images. */

import type { Database, Row } from "./db.ts";

export interface ArtifactRow {
  /** In full: `quay.io/team/notes:1`, or with a digest. */
  name: string;
  /** Of the manifest. */
  digest: string;
  /** What the manifest refers to. */
  blobs: string[];
  /** Of its files, in bytes. */
  size: number;
  recordedAt: string;
}

/** Adds it; another one that had the name loses it. */
export function putArtifact(db: Database, { name, digest, blobs, size, recordedAt }: ArtifactRow): void {
  db.run(
    `INSERT INTO artifacts (name, digest, blobs, size, recorded_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, blobs = excluded.blobs, size = excluded.size,
       recorded_at = excluded.recorded_at`,
    name,
    digest,
    JSON.stringify(blobs),
    size,
    recordedAt,
  );
}

export function findArtifact(db: Database, name: string): ArtifactRow | undefined {
  const row = db.get("SELECT * FROM artifacts WHERE name = ?", name);
  return row && toArtifact(row);
}

export function listArtifacts(db: Database): ArtifactRow[] {
  return db.all("SELECT * FROM artifacts ORDER BY name").map(toArtifact);
}

/** Whether there was one of that name. */
export function deleteArtifact(db: Database, name: string): boolean {
  return db.run("DELETE FROM artifacts WHERE name = ?", name) > 0;
}

function toArtifact(row: Row): ArtifactRow {
  return {
    name: String(row.name),
    digest: String(row.digest),
    blobs: JSON.parse(String(row.blobs)),
    size: Number(row.size),
    recordedAt: String(row.recorded_at),
  };
}

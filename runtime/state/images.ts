/** Tables of images: the rows, their layers, and the names and digests that lead to them. */

import type { Database, Row } from "./db.ts";

export interface ImageRow {
  /** Hex of the config's digest. */
  id: string;
  digest: string;
  indexDigest: string | null;
  architecture: string;
  os: string;
  created: string;
  recordedAt: string;
  size: number;
  /** The config document. */
  config: string;
  /** Of a list of images: its entries, a document of `runtime/image/list.ts`. */
  list?: string;
}

export interface ImageLayerRow {
  digest: string;
  diffId: string;
  size: number;
  mediaType: string;
}

/** Adds the image, or refreshes the one with the same id. To be called in a transaction. */
export function putImage(db: Database, image: ImageRow, layers: ImageLayerRow[]): void {
  db.run(
    `INSERT INTO images (id, digest, index_digest, architecture, os, created, recorded_at, size, config,
       list)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, index_digest = excluded.index_digest,
       size = excluded.size, list = excluded.list`,
    image.id,
    image.digest,
    image.indexDigest,
    image.architecture,
    image.os,
    image.created,
    image.recordedAt,
    image.size,
    image.config,
    image.list ?? null,
  );
  db.run("DELETE FROM image_layers WHERE image_id = ?", image.id);
  layers.forEach((layer, position) =>
    db.run(
      `INSERT INTO image_layers (image_id, position, digest, diff_id, size, media_type) VALUES (?, ?, ?, ?, ?, ?)`,
      image.id,
      position,
      layer.digest,
      layer.diffId,
      layer.size,
      layer.mediaType,
    )
  );
}

/** Points a name at an image; another image that had it loses it. */
export function putName(db: Database, name: string, imageId: string): void {
  db.run(
    `INSERT INTO image_names (name, image_id) VALUES (?, ?)
     ON CONFLICT (name) DO UPDATE SET image_id = excluded.image_id`,
    name,
    imageId,
  );
}

export function putRepoDigest(db: Database, reference: string, imageId: string): void {
  db.run("INSERT OR IGNORE INTO image_digests (reference, image_id) VALUES (?, ?)", reference, imageId);
}

export function hasRepoDigest(db: Database, reference: string, imageId: string): boolean {
  return db.get("SELECT 1 FROM image_digests WHERE reference = ? AND image_id = ?", reference, imageId) !==
    undefined;
}

/** Removes a name; whether there was one. */
export function deleteName(db: Database, name: string): boolean {
  return db.run("DELETE FROM image_names WHERE name = ?", name) > 0;
}

export function deleteRepoDigest(db: Database, reference: string, imageId: string): boolean {
  return db.run("DELETE FROM image_digests WHERE reference = ? AND image_id = ?", reference, imageId) > 0;
}

export function deleteImage(db: Database, id: string): boolean {
  return db.run("DELETE FROM images WHERE id = ?", id) > 0;
}

export function findImage(db: Database, id: string): ImageRow | undefined {
  const row = db.get("SELECT * FROM images WHERE id = ?", id);
  return row && toImage(row);
}

export function findImageByName(db: Database, name: string): ImageRow | undefined {
  const row = db.get(
    "SELECT images.* FROM images JOIN image_names ON image_names.image_id = images.id WHERE image_names.name = ?",
    name,
  );
  return row && toImage(row);
}

/** By the digest of its own manifest. */
export function findImageByManifest(db: Database, digest: string): ImageRow | undefined {
  const row = db.get("SELECT * FROM images WHERE digest = ?", digest);
  return row && toImage(row);
}

/** By `name@digest`; of several platforms of one index, the latest recorded. */
export function findImageByRepoDigest(db: Database, reference: string): ImageRow | undefined {
  const row = db.get(
    `SELECT images.* FROM images JOIN image_digests ON image_digests.image_id = images.id
     WHERE image_digests.reference = ? ORDER BY images.recorded_at DESC`,
    reference,
  );
  return row && toImage(row);
}

/** By `@digest` of any repository, or by `path@digest` of one below any registry. */
export function findImageByShortRepoDigest(db: Database, short: string): ImageRow | undefined {
  const end = `${short.startsWith("sha256:") ? "@" : "/"}${short}`;
  const row = db.all("SELECT reference FROM image_digests ORDER BY reference")
    .find(({ reference }) => String(reference).endsWith(end));
  return row && findImageByRepoDigest(db, String(row.reference));
}

/** Images whose id begins with `prefix` (hex digits only; at most three are returned). */
export function findImagesByPrefix(db: Database, prefix: string): ImageRow[] {
  return db.all("SELECT * FROM images WHERE id GLOB ? || '*' LIMIT 3", prefix).map(toImage);
}

/** Names that end in `/suffix`: the short name of something stored under a longer one. */
export function findNamesBySuffix(db: Database, suffix: string): { name: string; imageId: string }[] {
  return db.all("SELECT name, image_id FROM image_names").map((row) => ({
    name: String(row.name),
    imageId: String(row.image_id),
  })).filter(({ name }) => name.endsWith(`/${suffix}`));
}

export function listImages(db: Database): ImageRow[] {
  return db.all("SELECT * FROM images ORDER BY created DESC, id").map(toImage);
}

/** From the lowest layer to the topmost. */
export function listLayers(db: Database, imageId: string): ImageLayerRow[] {
  return db.all("SELECT * FROM image_layers WHERE image_id = ? ORDER BY position", imageId).map((row) => ({
    digest: String(row.digest),
    diffId: String(row.diff_id),
    size: Number(row.size),
    mediaType: String(row.media_type),
  }));
}

/** Every layer of every image. */
export function listAllLayers(db: Database): { imageId: string; diffId: string; size: number }[] {
  return db.all("SELECT image_id, diff_id, size FROM image_layers").map((row) => ({
    imageId: String(row.image_id),
    diffId: String(row.diff_id),
    size: Number(row.size),
  }));
}

/** Every name that it has or had, the latest first. */
export function listNameHistory(db: Database, imageId: string): string[] {
  return db.all("SELECT name FROM image_name_history WHERE image_id = ? ORDER BY rowid DESC", imageId)
    .map((row) => String(row.name));
}

export function listNames(db: Database, imageId: string): string[] {
  return db.all("SELECT name FROM image_names WHERE image_id = ? ORDER BY name", imageId)
    .map((row) => String(row.name));
}

/** Of images that have the layer as it is at a registry. */
export function listNamesWithLayer(db: Database, digest: string): string[] {
  return db.all(
    `SELECT image_names.name FROM image_names JOIN image_layers USING (image_id) WHERE image_layers.digest = ?
     UNION SELECT image_digests.reference FROM image_digests JOIN image_layers USING (image_id)
     WHERE image_layers.digest = ? ORDER BY 1`,
    digest,
    digest,
  ).map((row) => String(row.name));
}

export function listRepoDigests(db: Database, imageId: string): string[] {
  return db.all("SELECT reference FROM image_digests WHERE image_id = ? ORDER BY reference", imageId)
    .map((row) => String(row.reference));
}

/**
 * Every digest that an image of the store refers to: manifests, indexes, configs, layers and their diff ids; the blobs
 * of lists and artifacts, and the layers of the build cache.
 */
export function listReferencedContent(db: Database): { blobs: Set<string>; diffIds: Set<string> } {
  const blobs = new Set<string>();
  const diffIds = new Set<string>();
  for (const row of db.all("SELECT id, digest, index_digest FROM images")) {
    blobs.add(`sha256:${row.id}`).add(String(row.digest));
    if (row.index_digest !== null) blobs.add(String(row.index_digest));
  }
  for (const row of db.all("SELECT list FROM images WHERE list IS NOT NULL")) {
    for (const { digest, blobs: more = [] } of JSON.parse(String(row.list)).entries) {
      for (const one of [digest, ...more]) blobs.add(one);
    }
  }
  for (const row of db.all("SELECT digest, blobs FROM artifacts")) {
    for (const one of [row.digest, ...JSON.parse(String(row.blobs))]) blobs.add(String(one));
  }
  for (const row of db.all("SELECT DISTINCT digest, diff_id FROM image_layers")) {
    blobs.add(String(row.digest));
    diffIds.add(String(row.diff_id));
  }
  for (const row of db.all("SELECT digest, diff_id FROM build_cache WHERE diff_id IS NOT NULL")) {
    blobs.add(String(row.digest));
    diffIds.add(String(row.diff_id));
  }
  return { blobs, diffIds };
}

function toImage(row: Row): ImageRow {
  return {
    id: String(row.id),
    digest: String(row.digest),
    indexDigest: row.index_digest === null ? null : String(row.index_digest),
    architecture: String(row.architecture),
    os: String(row.os),
    created: String(row.created),
    recordedAt: String(row.recorded_at),
    size: Number(row.size),
    config: String(row.config),
    ...(row.list === null ? {} : { list: String(row.list) }),
  };
}

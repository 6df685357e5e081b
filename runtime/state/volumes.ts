/** Tables of volumes and of the containers that use them; the folders are storage's. */

import { deleteContainer } from "./containers.ts";
import type { Database, Row } from "./db.ts";

export interface VolumeRow {
  name: string;
  createdAt: string;
  labels: Record<string, string>;
  /** Made for one container without a name of its own; goes with it. */
  anonymous: boolean;
  /** Of `volume create --opt`. */
  options: Record<string, string>;
  /** `local`, `image` (which begins with an image's files), or the plugin that keeps it. */
  driver: string;
}

/** Whether a plugin keeps volumes of that driver. */
export function isPlugin(driver: string): boolean {
  return driver !== "local" && driver !== "image";
}

/** Adds the volume where missing; whether it was. */
export function putVolume(
  db: Database,
  volume: Omit<VolumeRow, "options" | "driver"> & Partial<Pick<VolumeRow, "options" | "driver">>,
): boolean {
  return db.run(
    "INSERT OR IGNORE INTO volumes (name, created_at, labels, anonymous, options, driver) VALUES (?, ?, ?, ?, ?, ?)",
    volume.name,
    volume.createdAt,
    JSON.stringify(volume.labels),
    volume.anonymous ? 1 : 0,
    JSON.stringify(volume.options ?? {}),
    volume.driver ?? "local",
  ) > 0;
}

/** Gives the containers of one volume to another, whose row is there, and removes the first one's row. */
export function replaceVolume(db: Database, name: string, other: string): void {
  db.run("UPDATE container_volumes SET volume = ? WHERE volume = ?", other, name);
  db.run("DELETE FROM volumes WHERE name = ?", name);
}

export function putVolumeUse(db: Database, containerId: string, volume: string): void {
  db.run("INSERT OR IGNORE INTO container_volumes (container_id, volume) VALUES (?, ?)", containerId, volume);
}

export function findVolume(db: Database, name: string): VolumeRow | undefined {
  const row = db.get("SELECT * FROM volumes WHERE name = ?", name);
  return row && toVolume(row);
}

export function listVolumes(db: Database): VolumeRow[] {
  return db.all("SELECT * FROM volumes ORDER BY name").map(toVolume);
}

export function listVolumesOfContainer(db: Database, containerId: string): VolumeRow[] {
  return db.all(
    `SELECT volumes.* FROM volumes JOIN container_volumes ON container_volumes.volume = volumes.name
     WHERE container_volumes.container_id = ? ORDER BY volumes.name`,
    containerId,
  ).map(toVolume);
}

/** Which container uses which volume. */
export function listVolumeUses(db: Database): { containerId: string; volume: string }[] {
  return db.all("SELECT container_id, volume FROM container_volumes").map((row) => ({
    containerId: String(row.container_id),
    volume: String(row.volume),
  }));
}

/** Removes the row unless a container uses the volume; whether it is gone. */
export function deleteUnusedVolume(db: Database, name: string): boolean {
  return db.run(
    `DELETE FROM volumes WHERE name = ? AND NOT EXISTS (SELECT 1 FROM container_volumes WHERE volume = ?)`,
    name,
    name,
  ) > 0;
}

/**
 * Removes a container's row and those of the anonymous volumes that only it used, whose names are returned. To be
 * called in a transaction.
 */
export function deleteContainerWithVolumes(db: Database, containerId: string): string[] {
  const all = listVolumesOfContainer(db, containerId).filter((volume) => volume.anonymous);
  deleteContainer(db, containerId);
  const anonymous = all.filter(({ driver }) => !isPlugin(driver));
  // a plugin has to be asked first, by who removes garbage
  for (const { name } of all.filter(({ driver }) => isPlugin(driver))) orphanVolume(db, name);
  return anonymous.map(({ name }) => name).filter((name) => deleteUnusedVolume(db, name));
}

/** Who removes garbage is to remove it, once nobody uses it. */
export function orphanVolume(db: Database, name: string): void {
  db.run("UPDATE volumes SET anonymous = 2 WHERE name = ?", name);
}

/** Anonymous volumes of plugins whose containers were removed with them. */
export function listOrphanedVolumes(db: Database): VolumeRow[] {
  return db.all("SELECT * FROM volumes WHERE anonymous = 2").map(toVolume);
}

function toVolume(row: Row): VolumeRow {
  return {
    name: String(row.name),
    createdAt: String(row.created_at),
    labels: JSON.parse(String(row.labels)),
    anonymous: row.anonymous !== 0,
    options: JSON.parse(String(row.options)),
    driver: String(row.driver),
  };
}

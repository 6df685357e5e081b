/** The row of the volume that a user names. */

import { ConflictError, NotFoundError } from "../errors.ts";
import type { Database } from "../state/db.ts";
import { findVolume, listVolumes, type VolumeRow } from "../state/volumes.ts";

/** By name, or by the beginning of one, as podman takes it. @throws {NotFoundError} */
export function findVolumeRow(db: Database, text: string): VolumeRow {
  const row = findVolume(db, text);
  if (row !== undefined) return row;
  const found = text === "" ? [] : listVolumes(db).filter(({ name }) => name.startsWith(text));
  if (found.length > 1) throw new ConflictError(`find volume "${text}": more than one name begins with it`);
  if (found[0] !== undefined) return found[0];
  throw new NotFoundError("volume", text, { message: `no volume with name "${text}" found: no such volume` });
}

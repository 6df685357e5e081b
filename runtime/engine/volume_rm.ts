/** `volume rm` and `volume prune`. */

import { ConflictError } from "../errors.ts";
import { listVolumeUses } from "../state/volumes.ts";
import type { Engine } from "./engine.ts";
import { rm } from "./rm.ts";
import { removeUnusedVolumes } from "./system_prune.ts";
import { findVolumeRow } from "./volume_row.ts";

export interface VolumeRmOptions {
  /** Remove the containers that use it before, running or not. */
  force?: boolean;
  /** With `force`: how long a container has to stop by itself. */
  timeoutSeconds?: number;
}

/**
 * Removes a volume with its content.
 *
 * @throws {NotFoundError} where there is none
 * @throws {ConflictError} where containers use it
 */
export async function volumeRm(engine: Engine, text: string, options: VolumeRmOptions = {}): Promise<string> {
  const db = await engine.database();
  const { name } = findVolumeRow(db, text);
  const users = () =>
    listVolumeUses(db).filter(({ volume }) => volume === name).map(({ containerId }) => containerId);
  if (options.force) {
    for (const id of users()) {
      await rm(engine, id, { force: true, ignore: true, timeoutSeconds: options.timeoutSeconds });
    }
  }
  const [removed] = await removeUnusedVolumes(engine, [name]);
  if (removed !== undefined) return name;
  const ids = users();
  throw new ConflictError(
    `volume ${name} is being used by the following container(s): ${ids.join(", ")}: volume is being used`,
  );
}

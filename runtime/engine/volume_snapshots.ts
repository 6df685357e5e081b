/**
 * What volumes held at a time, kept beside them, named as in zfs(8).
 *
 * ```
 *  volumes/<name>/snapshots/<snapshot>/_data            goes and is renamed with its volume
 *                                      snapshot.json    when it was made
 * ```
 */

import { InvalidArgumentError } from "../errors.ts";
import { namesIn } from "../state/listing.ts";
import { volumePath } from "../storage/volumes.ts";
import type { Engine } from "./engine.ts";

export interface SnapshotInfo {
  /** `VOLUME@SNAPSHOT`. */
  Name: string;
  Volume: string;
  Snapshot: string;
  CreatedAt: string;
  Mountpoint: string;
}

/** `data@before` is the snapshot `before` of the volume `data`: a volume's own name has no `@`. */
export function parseSnapshotName(text: string): { volume: string; snapshot?: string } {
  const at = text.indexOf("@");
  if (at < 0) return { volume: text };
  const snapshot = text.slice(at + 1);
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/.test(snapshot)) {
    throw new InvalidArgumentError(
      `name snapshot ${JSON.stringify(snapshot)}: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*`,
    );
  }
  return { volume: text.slice(0, at), snapshot };
}

/** Where the content of a snapshot lies, whether it is there or not. */
export function snapshotContent(engine: Engine, volume: string, snapshot: string): string {
  return `${snapshotsOf(engine, volume)}/${snapshot}/_data`;
}

/** The folder of a volume's snapshots. */
export function snapshotsOf(engine: Engine, volume: string): string {
  return volumePath(engine.folders, volume).replace(/_data$/, "snapshots");
}

/** Those of one volume, the oldest first. */
export function snapshotsIn(engine: Engine, volume: string): SnapshotInfo[] {
  const all = snapshotsOf(engine, volume);
  return namesIn(all).flatMap((snapshot): SnapshotInfo[] => {
    try {
      const { createdAt } = JSON.parse(Deno.readTextFileSync(`${all}/${snapshot}/snapshot.json`));
      const Mountpoint = `${all}/${snapshot}/_data`;
      return [{
        Name: `${volume}@${snapshot}`,
        Volume: volume,
        Snapshot: snapshot,
        CreatedAt: createdAt,
        Mountpoint,
      }];
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return []; // removed at this moment
      throw error;
    }
  }).sort((a, b) => Date.parse(a.CreatedAt) - Date.parse(b.CreatedAt) || (a.Name < b.Name ? -1 : 1));
}

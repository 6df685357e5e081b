/** Trees of volumes whose maker was killed: nobody holds the lock of their folder in `tmp/`. @see files/volume_trees.ts */

import type { Folders } from "../state/folders.ts";
import { inspectLock } from "../state/locks.ts";

export const TREE_PREFIX = "volume-";
/** In a volume's folder, before the name of the folder in `tmp/`. */
export const BESIDE_PREFIX = ".new-";

/** Whether `name`, in `tmp/`, is such a tree. */
export function isAbandonedTree(tmp: string, name: string): boolean {
  return name.startsWith(TREE_PREFIX) && !isHeldOrMissing(`${tmp}/${name}`);
}

/** Those that were to take the place of a volume's content, or did so. */
export function abandonedBeside({ volumes, tmp }: Folders, volume: string): string[] {
  const folder = `${volumes}/${volume}`;
  return namesIn(folder).filter((name) => {
    if (!name.startsWith(BESIDE_PREFIX)) return false;
    const asked = inspectLock(`${tmp}/${name.slice(BESIDE_PREFIX.length)}`);
    if (asked.state === "free") asked.lock[Symbol.dispose]();
    return asked.state !== "held";
  }).map((name) => `${folder}/${name}`);
}

function isHeldOrMissing(path: string): boolean {
  const asked = inspectLock(path);
  if (asked.state === "free") asked.lock[Symbol.dispose]();
  return asked.state !== "free";
}

function namesIn(folder: string): string[] {
  try {
    return Array.from(Deno.readDirSync(folder), ({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return [];
    throw error;
  }
}

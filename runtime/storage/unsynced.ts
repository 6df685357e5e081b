/**
 * Layers that are complete but perhaps not on the disk yet.
 *
 * Waiting for the disk would add a third to a pull, so a layer appears with a mark beside it, `<form>.unsynced`,
 * which holds the boot's id. The child that unpacked it syncs after it has reported, and takes the mark away. A
 * mark of another boot means that the machine went down in between: the layer may lack data, counts as missing,
 * and is unpacked again.
 */

import { readBootId } from "../state/boot.ts";

/** The mark of the layer at `path`. */
export function unsyncedMark(path: string): string {
  return `${path}.unsynced`;
}

/** Whether the machine went down before the layer at `path` was on the disk. */
export function isSuspect(path: string): boolean {
  const mark = unsyncedMark(path);
  try {
    return isListed(mark) && Deno.readTextFileSync(mark) !== readBootId();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Marks are rare, and no exception is made on the hot path for each that is missing: the first costs a millisecond. */
function isListed(path: string): boolean {
  const slash = path.lastIndexOf("/");
  const name = path.slice(slash + 1);
  for (const entry of Deno.readDirSync(path.slice(0, slash))) if (entry.name === name) return true;
  return false;
}

/** `lost.json` in a container's folder: how many of its lines the journal did not take. */

import { readRecord, writeRecord } from "./records.ts";

interface LossRecord {
  lost: number;
}

const FILE = "lost.json";

/** Never throws: a full disk is no reason to end the container. */
export function addLoss(containerDir: string, count: number): void {
  try {
    writeRecord(`${containerDir}/${FILE}`, { lost: readLoss(containerDir) + count });
  } catch {
    // the journal's own entry tells it
  }
}

/** 0 where there was none. */
export function readLoss(containerDir: string): number {
  return readRecord<LossRecord>(`${containerDir}/${FILE}`, ({ lost }) => Number.isSafeInteger(lost))?.lost ??
    0;
}

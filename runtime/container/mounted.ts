/** `mount.json` in a container's folder: that `mount` shows its root, where, and who keeps it so. */

import { processStartTime } from "../monitor/records.ts";
import { readBootId } from "../state/boot.ts";

export interface MountRecord {
  path: string;
  /** The process that holds the container's lock. */
  pid: number;
  startTime: string;
  bootId: string;
  /** Leader of the session of `unshare` in which it can be seen. */
  sessionPid?: number;
}

export function mountRecordPath(containerDir: string): string {
  return `${containerDir}/mount.json`;
}

/** The record, if its holder lives. */
export function readMountRecord(containerDir: string): MountRecord | undefined {
  let record: MountRecord;
  try {
    record = JSON.parse(Deno.readTextFileSync(mountRecordPath(containerDir)));
  } catch {
    return undefined;
  }
  const lives = record.bootId === readBootId() && processStartTime(record.pid) === record.startTime;
  return lives ? record : undefined;
}

/** `paused.json` in a container's folder: that and how a run of it is held still. */

import type { FrozenCgroup } from "../cgroups/freezer.ts";
import type { StateRecord } from "../monitor/plan.ts";

export const PAUSED_FILE = "paused.json";

export interface PausedRecord {
  initPid: number;
  initStartTime: string;
  /** Absent where the processes were stopped by a signal. */
  cgroup?: FrozenCgroup;
}

/** How the run that `state` tells of is paused; undefined where it is not. */
export function readPaused(
  dir: string,
  state: Pick<StateRecord, "initPid" | "initStartTime">,
): PausedRecord | undefined {
  try {
    const record = JSON.parse(Deno.readTextFileSync(`${dir}/${PAUSED_FILE}`)) as PausedRecord;
    return record.initPid === state.initPid && record.initStartTime === state.initStartTime
      ? record
      : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

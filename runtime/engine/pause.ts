/** `pause` and `unpause`: holds all processes of a container still. */

import { pauseProcesses, unpauseProcesses } from "../container/paused.ts";
import { readPaused } from "../container/paused_record.ts";
import { ConflictError } from "../errors.ts";
import { readState } from "../monitor/records.ts";
import { recordContainerEvent } from "../state/events.ts";
import { observe } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { execPrograms } from "./exec_sessions.ts";
import { noticeOnce } from "./notices.ts";

/** Pauses a running container. `warning` is for stderr. */
export async function pause(engine: Engine, text: string): Promise<{ id: string; warning?: string }> {
  const { row, status } = await observe(engine, text);
  const dir = engine.containerDir(row.id);
  const state = readState(dir);
  if (status.status === "paused") throw new ConflictError(`pause container "${text}": it is already paused`);
  if (status.status !== "running" || !state) {
    throw new ConflictError(`pause container "${text}": it is not running, its state is ${status.status}`);
  }
  const { cgroup } = pauseProcesses(dir, row.id, state, execPrograms(dir));
  recordContainerEvent(engine.folders, row, "pause");
  return { id: row.id, warning: cgroup ? undefined : noticeOnce(engine, "paused-by-signal") };
}

/** Lets a paused container go on. */
export async function unpause(engine: Engine, text: string): Promise<string> {
  const { row, status } = await observe(engine, text);
  if (status.status !== "paused") {
    throw new ConflictError(`unpause container "${text}": it is not paused, its state is ${status.status}`);
  }
  letRun(engine, row.id);
  recordContainerEvent(engine.folders, row, "unpause");
  return row.id;
}

/** Undoes a pause where there is one, for whoever ends a container. */
export function letRun(engine: Engine, id: string): void {
  const dir = engine.containerDir(id);
  const state = readState(dir);
  const record = state && readPaused(dir, state);
  if (record) unpauseProcesses(dir, record, execPrograms(dir));
}

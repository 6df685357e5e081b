/** `healthcheck run`: one check of a running container, now. */

import { UnsupportedError } from "../errors.ts";
import { requestMonitor } from "../monitor/client.ts";
import { monitorSocketPath } from "../state/folders.ts";
import { loadConfig, observeRunning } from "./containers.ts";
import type { Engine } from "./engine.ts";

export interface HealthAnswer {
  /** starting, healthy, unhealthy. */
  status: string;
  /** Of the check. */
  exitCode: number;
}

/** Has the container's monitor run its check, and waits for the result. */
export async function runHealthcheck(engine: Engine, text: string): Promise<HealthAnswer> {
  const { row } = await observeRunning(engine, text, "check the health of");
  if (!loadConfig(engine, row.id).lifecycle?.health) {
    throw new UnsupportedError(`check the health of container "${text}": it has no defined healthcheck`);
  }
  const { status, exitCode } = await requestMonitor(monitorSocketPath(engine.folders, row.id), {
    op: "health",
  });
  return { status: String(status), exitCode: Number(exitCode) };
}

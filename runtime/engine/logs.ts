/** Where a container's log is, and whether more may come; the reading is the monitor's format. */

import { ConflictError } from "../errors.ts";
import { loadConfig, observe } from "./containers.ts";
import type { Engine } from "./engine.ts";

export interface LogSource {
  driver: "k8s-file" | "json-file";
  path: string;
  isRunning: () => Promise<boolean>;
}

/** Throws where the container keeps no log. */
export async function logSource(engine: Engine, text: string): Promise<LogSource> {
  const { row } = await observe(engine, text);
  const { log } = loadConfig(engine, row.id);
  if (log.driver !== "k8s-file" && log.driver !== "json-file") {
    throw new ConflictError(
      `read logs of container "${text}": its log driver is "${log.driver}", which keeps none`,
    );
  }
  return {
    driver: log.driver,
    path: log.path,
    isRunning: async () => {
      const { status } = (await observe(engine, row.id)).status;
      return status === "running" || status === "stopping";
    },
  };
}

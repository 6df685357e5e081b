/** `system start-all`: after a reboot, starts what its restart policy wants to run. */

import { observeContainers } from "../container/state.ts";
import { readExit } from "../monitor/records.ts";
import { listContainers } from "../state/containers.ts";
import type { Engine } from "./engine.ts";
import { start } from "./start.ts";

export interface StartedByPolicy {
  name: string;
  error?: unknown;
}

/**
 * Starts containers that have ended and have the policy `always`, or `unless-stopped` where nobody had stopped them; the
 * oldest first. What never ran is left alone, as Docker does.
 */
export async function* startAll(engine: Engine): AsyncGenerator<StartedByPolicy> {
  const db = await engine.database();
  const observed = await observeContainers(db, engine.folders.containers, listContainers(db).reverse());
  for (const { row, status } of observed) {
    if (status.status !== "exited" || row.autoRemove) continue;
    if (row.restartPolicy !== "always" && row.restartPolicy !== "unless-stopped") continue;
    if (row.restartPolicy === "unless-stopped" && readExit(engine.containerDir(row.id))?.stoppedByHand) {
      continue;
    }
    try {
      await start(engine, row.id);
      yield { name: row.name };
    } catch (error) {
      yield { name: row.name, error };
    }
  }
}

/** `pod top`: the processes of all containers of a pod that run. */

import { ConflictError } from "../../errors.ts";
import type { Engine } from "../engine.ts";
import { type ProcessTable, top } from "../top.ts";
import { observePod } from "./find.ts";

/** @throws {InvalidArgumentError} where a descriptor is unknown and something runs */
export async function podTop(engine: Engine, text: string, descriptors?: string[]): Promise<ProcessTable> {
  const { members } = await observePod(engine, text);
  const table: ProcessTable = { titles: [], processes: [] };
  for (const { row, status } of members) {
    if (status.pid === 0) continue;
    try {
      const { titles, processes } = await top(engine, row.id, descriptors);
      table.titles = titles;
      table.processes.push(...processes);
    } catch (error) {
      // it has ended meanwhile
      if (!(error instanceof ConflictError)) throw error;
    }
  }
  return table;
}

/** `kill`: sends a signal to a running container's process. */

import { SIGKILL } from "../../ffi/constants/signal.ts";
import { ConflictError } from "../errors.ts";
import { sendSignal, stopAndWait } from "../monitor/client.ts";
import { parseSignal } from "../spec/signal.ts";
import { monitorSocketPath } from "../state/folders.ts";
import { observeRunning } from "./containers.ts";
import type { Engine } from "./engine.ts";

/** `signal` is a name or number. Returns the id. */
export async function kill(engine: Engine, text: string, signal = "KILL"): Promise<string> {
  const number = parseSignal(signal);
  const { row } = await observeRunning(engine, text, "kill");
  await sendSignal(monitorSocketPath(engine.folders, row.id), number);
  return row.id;
}

/** Ends a container, after `timeoutSeconds` by force, and waits for its end; one that has ended is fine. */
export async function killAndWait(engine: Engine, id: string, timeoutSeconds: number): Promise<void> {
  const how = timeoutSeconds === 0 ? { signal: SIGKILL, timeoutSeconds } : { timeoutSeconds };
  try {
    await stopAndWait(monitorSocketPath(engine.folders, id), how);
  } catch (error) {
    // its monitor is gone, or the program never ran: either way it has ended
    if (!(error instanceof ConflictError) && (error as Error).name !== "StartError") throw error;
  }
}

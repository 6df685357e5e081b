/** `kill`: sends a signal to a running container's process. */

import { SIGKILL } from "../../ffi/constants/signal.ts";
import { ConflictError, SkiffError } from "../errors.ts";
import { sendSignal, stopAndWait } from "../monitor/client.ts";
import { parseSignal } from "../spec/signal.ts";
import { recordContainerEvent } from "../state/events.ts";
import { monitorSocketPath } from "../state/folders.ts";
import { observeRunning } from "./containers.ts";
import type { Engine } from "./engine.ts";

/** `signal` is a name or number. Returns the id. */
export async function kill(engine: Engine, text: string, signal = "KILL"): Promise<string> {
  const number = parseSignal(signal);
  const { row, status } = await observeRunning(engine, text, "kill", { paused: true });
  try {
    await sendSignal(monitorSocketPath(engine.folders, row.id), number);
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    const { endUnreachable, isUnreachable } = await import("./unreachable.ts");
    if (!isUnreachable(engine, row.id)) {
      // most likely it has ended meanwhile, and that is what is told
      await observeRunning(engine, text, "kill", { paused: true });
      throw error;
    }
    if (number !== SIGKILL) throw error;
    await endUnreachable(engine, row.id, 0);
  }
  // a frozen process cannot even die
  if (status.status === "paused" && number === SIGKILL) (await import("./pause.ts")).letRun(engine, row.id);
  recordContainerEvent(engine.folders, row, "kill", { signal: String(number) });
  return row.id;
}

/** Ends a container, after `timeoutSeconds` by force, and waits for its end; one that has ended is fine. */
export async function killAndWait(engine: Engine, id: string, timeoutSeconds: number): Promise<void> {
  const how = timeoutSeconds === 0 ? { signal: SIGKILL, timeoutSeconds } : { timeoutSeconds };
  try {
    await stopAndWait(monitorSocketPath(engine.folders, id), how);
  } catch (error) {
    // Its monitor is gone, the program never ran, or it has ended and the monitor waits for a late client: the
    // container's lock tells when that is over.
    if (!(error instanceof SkiffError)) throw error;
    const { endUnreachable, isUnreachable } = await import("./unreachable.ts");
    if (isUnreachable(engine, id)) await endUnreachable(engine, id, timeoutSeconds);
  }
}

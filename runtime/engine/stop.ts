/** `stop`: asks a container to end, and kills it after a while. */

import { ConflictError, NotFoundError } from "../errors.ts";
import { stopAndWait } from "../monitor/client.ts";
import { recordContainerEvent } from "../state/events.ts";
import { monitorSocketPath } from "../state/folders.ts";
import { observe } from "./containers.ts";
import type { Engine } from "./engine.ts";

export interface StopOptions {
  /** Before SIGKILL; by default the container's own `--stop-timeout`. -1 waits for ever. */
  timeoutSeconds?: number;
  /** No error where there is no such container. */
  ignore?: boolean;
  signal?: AbortSignal;
}

/** Returns when the container has ended: at once where it does not run. The id, undefined where it is ignored. */
export async function stop(
  engine: Engine,
  text: string,
  options: StopOptions = {},
): Promise<string | undefined> {
  let observed;
  try {
    observed = await observe(engine, text);
  } catch (error) {
    if (options.ignore && error instanceof NotFoundError) return undefined;
    throw error;
  }
  const { row, status: { status } } = observed;
  if (status !== "running" && status !== "stopping") return row.id;
  const { timeoutSeconds } = options;
  try {
    await stopAndWait(monitorSocketPath(engine.folders, row.id), { timeoutSeconds }, options.signal);
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error; // it has ended meanwhile
  }
  await observe(engine, row.id).catch((error) => {
    if (!(error instanceof NotFoundError)) throw error; // gone, with --rm
  });
  recordContainerEvent(engine.folders, row, "stop");
  return row.id;
}

/** `stop`: asks a container to end, and kills it after a while. */

import { ConflictError, NotFoundError } from "../errors.ts";
import { isLive, type Status } from "../container/state.ts";
import { stopAndWait } from "../monitor/client.ts";
import { parseSignal } from "../spec/signal.ts";
import { recordContainerEvent } from "../state/events.ts";
import { monitorSocketPath } from "../state/folders.ts";
import { observe } from "./containers.ts";
import type { Engine } from "./engine.ts";

export interface StopOptions {
  /** Before SIGKILL; by default the container's own `--stop-timeout`. -1 waits for ever. */
  timeoutSeconds?: number;
  /** Sent first; by default the container's own `--stop-signal`. */
  stopSignal?: string;
  /** No error where there is no such container. */
  ignore?: boolean;
  /** @internal A container of `--rm` stays: it is to be started again. */
  keep?: boolean;
  signal?: AbortSignal;
}

/** Returns when the container has ended: at once where it does not run. The id, undefined where it is ignored. */
export async function stop(
  engine: Engine,
  text: string,
  options: StopOptions = {},
): Promise<string | undefined> {
  if (options.stopSignal) parseSignal(options.stopSignal);
  let observed;
  try {
    observed = await observe(engine, text);
  } catch (error) {
    if (options.ignore && error instanceof NotFoundError) return undefined;
    throw error;
  }
  const { row, status: { status } } = observed;
  if (!isLive(status)) return row.id;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (await stopOnce(engine, row.id, status, options)) break;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  recordContainerEvent(engine.folders, row, "stop");
  return row.id;
}

/**
 * A monitor that is about to run its container again sends away who has not said yet what he wants, or tells him of the
 * run that has just ended: for as long as its other clients take to read that, at most five seconds.
 */
const [ATTEMPTS, PAUSE_MS] = [200, 50];

/** Whether it has ended; else the monitor that was asked did not hear it. */
async function stopOnce(engine: Engine, id: string, status: Status, options: StopOptions): Promise<boolean> {
  const { timeoutSeconds, keep, stopSignal } = options;
  const signal = stopSignal ? parseSignal(stopSignal) : undefined;
  const ended = stopAndWait(
    monitorSocketPath(engine.folders, id),
    { signal, timeoutSeconds, keep },
    options.signal,
  );
  ended.catch(() => {}); // heard below
  let isHeard = false;
  try {
    // it can obey only when it runs
    if (status === "paused") (await import("./pause.ts")).letRun(engine, id);
    isHeard = (await ended).stoppedByHand ?? false;
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error; // it has ended meanwhile, or its socket has gone
    const { endUnreachable, isUnreachable } = await import("./unreachable.ts");
    if (isUnreachable(engine, id)) await endUnreachable(engine, id, timeoutSeconds);
  }
  try {
    const { status } = await observe(engine, id);
    return isHeard || !isLive(status.status);
  } catch (error) {
    if (error instanceof NotFoundError) return true; // gone, with --rm
    throw error;
  }
}

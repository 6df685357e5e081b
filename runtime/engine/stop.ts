/** `stop`: asks a container to end, and kills it after a while. */

import { ConflictError, NotFoundError } from "../errors.ts";
import { isLive } from "../container/state.ts";
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
  let observed;
  try {
    observed = await observe(engine, text);
  } catch (error) {
    if (options.ignore && error instanceof NotFoundError) return undefined;
    throw error;
  }
  const { row, status: { status } } = observed;
  if (!isLive(status)) return row.id;
  const { timeoutSeconds, keep } = options;
  const ended = stopAndWait(
    monitorSocketPath(engine.folders, row.id),
    { timeoutSeconds, keep },
    options.signal,
  );
  ended.catch(() => {}); // heard below
  try {
    // it can obey only when it runs
    if (status === "paused") (await import("./pause.ts")).letRun(engine, row.id);
    await ended;
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error; // it has ended meanwhile, or its socket has gone
    const { endUnreachable, isUnreachable } = await import("./unreachable.ts");
    if (isUnreachable(engine, row.id)) await endUnreachable(engine, row.id, timeoutSeconds);
  }
  await observe(engine, row.id).catch((error) => {
    if (!(error instanceof NotFoundError)) throw error; // gone, with --rm
  });
  recordContainerEvent(engine.folders, row, "stop");
  return row.id;
}

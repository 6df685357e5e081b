/** `restart`: stops a container where it runs, and starts it again. */

import { AT_FDCWD } from "../../ffi/constants/fcntl.ts";
import { ENOENT, isErrno } from "../../ffi/errno.ts";
import { isLive } from "../container/state.ts";
import { recordContainerEvent } from "../state/events.ts";
import { removeTree } from "../storage/remove_tree.ts";
import { observe } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { start } from "./start.ts";
import { stop, type StopOptions } from "./stop.ts";

export type RestartOptions = Pick<StopOptions, "timeoutSeconds" | "stopSignal" | "signal">;

/** Returns the id, when its program runs again. One of `--rm` is not removed in between. */
export async function restart(engine: Engine, text: string, options: RestartOptions = {}): Promise<string> {
  const { row, status } = await observe(engine, text);
  recordContainerEvent(engine.folders, row, "restart");
  if (isLive(status.status)) {
    await stop(engine, row.id, { ...options, keep: true });
    allowMount(engine.containerDir(row.id));
  }
  await start(engine, row.id, { signal: options.signal });
  return row.id;
}

/**
 * An overlay that was mounted volatile, as that of a container to be removed is, refuses to be mounted again: after a
 * power cut it may be damaged. Here nothing was cut. @see https://docs.kernel.org/filesystems/overlayfs.html, volatile mount
 */
export function allowMount(containerDir: string): void {
  const work = `${containerDir}/work/work`;
  try {
    Deno.chmodSync(work, 0o700);
    removeTree(AT_FDCWD, `${work}/incompat`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound) && !isErrno(error, ENOENT)) throw error;
  }
}

/** `run`: create and start in one go, without letting go of the container's lock in between. */

import { createHeld, type CreateHooks } from "./create.ts";
import type { Engine } from "./engine.ts";
import type { CreateOptions } from "./options.ts";
import { type StartedContainer, startHeld } from "./start.ts";

export interface RunOptions extends CreateHooks {
  /** The caller attaches at once (see `StartOptions`). */
  foreground?: boolean;
  /** Told before the container starts. */
  warn?: (text: string) => void;
}

/** Creates and starts a container. One that cannot be started stays, as created, unless it is `--rm`. */
export async function run(
  engine: Engine,
  options: CreateOptions,
  how: RunOptions = {},
): Promise<StartedContainer> {
  const { id, config, lockFd, warnings } = await createHeld(engine, options, how);
  for (const warning of warnings) how.warn?.(warning);
  try {
    return await startHeld(engine, config, lockFd, how);
  } catch (error) {
    if (config.autoRemove) {
      const { rm } = await import("./rm.ts");
      await rm(engine, id, { force: true, volumes: true, ignore: true }).catch(() => {});
    }
    throw error;
  }
}

/**
 * To be called when an attached container has ended: a container of `--rm` whose folder its monitor has
 * removed loses its row, another one gets its end recorded.
 */
export async function settle(engine: Engine, id: string): Promise<void> {
  const { observeContainers } = await import("../container/state.ts");
  const { findContainer } = await import("../state/containers.ts");
  const db = await engine.database();
  const row = findContainer(db, id);
  if (row) await observeContainers(db, engine.folders.containers, [row]);
}

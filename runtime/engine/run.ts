/** `run`: create and start in one go, without letting go of the container's lock in between. */

import { AT_FDCWD, F_OK } from "../../ffi/constants/fcntl.ts";
import { close, faccessat } from "../../ffi/file.ts";
import { findContainer } from "../state/containers.ts";
import { isDiskFull } from "../state/db.ts";
import { deleteContainerWithVolumes } from "../state/volumes.ts";
import { syncContainerFiles } from "../container/folder.ts";
import { observeContainers } from "../container/state.ts";
import { type CreateHooks, isNameDrawnTwice, prepareCreate, type PreparedContainer } from "./create.ts";
import type { Engine } from "./engine.ts";
import type { CreateOptions } from "./options.ts";
import { start, type StartedContainer, startHeld } from "./start.ts";

export interface RunOptions extends CreateHooks {
  /** The caller attaches at once (see `StartOptions`). */
  foreground?: boolean;
  preserveFds?: number[];
  /** Told before the container starts. */
  warn?: (text: string) => void;
}

/** Creates and starts a container. One that cannot be started stays, as created, unless it is `--rm`. */
export async function run(
  engine: Engine,
  options: CreateOptions,
  how: RunOptions = {},
): Promise<StartedContainer> {
  for (let attempt = 0;; attempt++) {
    const prepared = await prepareCreate(engine, options, { ...how, listens: true }, attempt);
    for (const warning of prepared.warnings) how.warn?.(warning);
    try {
      return await runPrepared(engine, prepared, how);
    } catch (error) {
      if (!isNameDrawnTwice(error, options, attempt)) throw error;
    }
  }
}

async function runPrepared(
  engine: Engine,
  prepared: PreparedContainer,
  how: RunOptions,
): Promise<StartedContainer> {
  const { config, lockFd, ports } = prepared;
  using joining = new DisposableStack();
  const giveUp = () => {
    prepared.discard();
    for (const fd of [lockFd, ...ports.map(({ fd }) => fd)]) close(fd);
  };
  try {
    for (const id of config.lifecycle?.requires ?? []) await start(engine, id, { signal: how.signal });
    if (config.pod) {
      joining.use(await (await import("./pods/infra.ts")).startInfra(engine, config.pod, how.signal));
    }
  } catch (error) {
    giveUp();
    throw error;
  }
  let isRecorded = false;
  const record = async () => {
    await prepared.record("starting");
    isRecorded = true;
  };
  // The program of a foreground run waits for its client, so the row is written while the monitor sets up;
  // volumes and leases of addresses have rows first.
  const overlaps = how.foreground && !config.mounts.some((mount) => mount.kind === "volume") &&
    config.network.mode !== "bridge";
  if (!overlaps) {
    try {
      await record();
    } catch (error) {
      giveUp();
      throw error;
    }
  }
  let synced: Promise<void> | undefined;
  const meanwhile = async () => {
    if (!config.autoRemove) synced = syncContainerFiles(engine.containerDir(config.id));
    synced?.catch(() => {});
    if (overlaps) await record();
  };
  try {
    const started = await startHeld(engine, config, lockFd, { ...how, meanwhile, ports });
    if (!how.foreground) {
      await synced?.catch((error) => {
        // somebody has removed it already
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      });
    }
    return started;
  } catch (error) {
    if (!isRecorded) prepared.discard();
    else if (config.autoRemove) {
      const { rm } = await import("./rm.ts");
      await rm(engine, config.id, { force: true, volumes: true, ignore: true }).catch(() => {});
    }
    throw error;
  }
}

/**
 * To be called when an attached container has ended: a container of `--rm` whose folder its monitor has
 * removed loses its row, another one gets its end recorded.
 */
export async function settle(engine: Engine, id: string): Promise<void> {
  const db = await engine.database();
  const row = findContainer(db, id);
  if (!row) return;
  if (row.autoRemove && !faccessat(AT_FDCWD, engine.containerDir(id), F_OK)) {
    await db.transaction(() => deleteContainerWithVolumes(db, id)).catch((error) => {
      // a row without a folder is gone, and removed by the next command that can
      if (!isDiskFull(error)) throw error;
    });
    return;
  }
  await observeContainers(db, engine.folders.containers, [row]);
}

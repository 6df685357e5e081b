/** What a child needs to reach the files of a container, running or not, and the locks that it takes meanwhile. */

import { close } from "../../ffi/file.ts";
import type { ContainerConfig } from "../container/config.ts";
import { takeContainerLock } from "../container/folder.ts";
import { readMountRecord } from "../container/mounted.ts";
import { ConflictError } from "../errors.ts";
import type { ContainerView } from "../files/view.ts";
import { readState } from "../monitor/records.ts";
import type { ContainerRow } from "../state/containers.ts";
import type { NestedMaps } from "../storage/layer_copy.ts";
import { prepareRoot } from "./container_root.ts";
import { loadConfig, observe } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { nestedMaps } from "./nested_maps.ts";

const PATIENCE_MS = 600_000;

/** A container whose files can be reached for as long as the call of `withContainers` lasts. */
export interface ReachedContainer {
  row: ContainerRow;
  config: ContainerConfig;
  view: ContainerView;
  nested?: NestedMaps;
}

/**
 * Calls `work` with the containers that `texts` name; one that is named twice is given twice, as the same object.
 *
 * Where one is stopped its lock is held meanwhile: nobody starts, removes or mounts it.
 *
 * @param withMounts false: only what is in their roots is looked at
 */
export async function withContainers<T>(
  engine: Engine,
  texts: readonly string[],
  work: (containers: ReachedContainer[]) => Promise<T>,
  signal?: AbortSignal,
  withMounts = true,
): Promise<T> {
  const observed = await Promise.all(texts.map((text) => observe(engine, text)));
  const held: number[] = [];
  try {
    const reached = new Map<string, ReachedContainer>();
    // In the order of their ids, so that two commands never wait for each other.
    for (const id of [...new Set(observed.map(({ row }) => row.id))].sort()) {
      reached.set(id, await reach(engine, id, { held, withMounts }, signal));
    }
    return await work(observed.map(({ row }) => reached.get(row.id)!));
  } finally {
    held.forEach(close);
  }
}

async function reach(
  engine: Engine,
  id: string,
  { held, withMounts }: { held: number[]; withMounts: boolean },
  signal?: AbortSignal,
): Promise<ReachedContainer> {
  const dir = engine.containerDir(id);
  for (let attempt = 0; attempt < 50; attempt++) {
    const { row, status } = await observe(engine, id);
    const config = loadConfig(engine, id);
    const nested = nestedMaps(engine, config);
    const state = status.pid > 0 ? readState(dir) : undefined;
    if (state !== undefined && state.initPid > 0) {
      const view = { kind: "running", pid: state.initPid, startTime: state.initStartTime } as const;
      return { row, config, view, nested };
    }
    const lockFd = await lockPatiently(dir, signal);
    if (lockFd === null) {
      // started meanwhile, or its monitor is about to restart it
      await new Promise((resolve) => setTimeout(resolve, 10 * attempt));
      continue;
    }
    held.push(lockFd);
    const rootfs = await prepareRoot(engine, config, dir, nested);
    const mounts = withMounts ? await (await import("./own_mounts.ts")).ownMounts(engine, config) : [];
    return { row, config, nested, view: { kind: "stopped", rootfs, mounts } };
  }
  throw new ConflictError(`reach container "${id.slice(0, 12)}": it keeps starting and ending`);
}

/** Another copy from the same container may take minutes, and is waited for. */
async function lockPatiently(dir: string, signal?: AbortSignal): Promise<number | null> {
  for (const end = Date.now() + PATIENCE_MS;;) {
    try {
      return await takeContainerLock(dir, signal);
    } catch (error) {
      const mayEnd = error instanceof ConflictError && readMountRecord(dir) === undefined;
      if (!mayEnd || Date.now() > end) throw error;
    }
  }
}

/** How a text leads to a container, and what it is told where it does not. */

import { AT_FDCWD, F_OK } from "../../ffi/constants/fcntl.ts";
import { faccessat } from "../../ffi/file.ts";
import { observeContainers, type Observed } from "../container/state.ts";
import { ConflictError, NotFoundError, SkiffError } from "../errors.ts";
import type { ContainerConfig } from "../container/config.ts";
import {
  type ContainerRow,
  findContainer,
  findContainerByName,
  findContainersByPrefix,
} from "../state/containers.ts";
import type { Database } from "../state/db.ts";
import { isIdPrefix } from "../state/ids.ts";
import type { Engine } from "./engine.ts";

/** By id, name or the beginning of an id, in this order. Throws NotFoundError. */
export function findRow(db: Database, text: string): ContainerRow {
  const row = findContainer(db, text) ?? findContainerByName(db, text);
  if (row) return row;
  const found = isIdPrefix(text) ? findContainersByPrefix(db, text) : [];
  if (found.length > 1) {
    throw new ConflictError(`find container "${text}": more than one id begins with it`);
  }
  if (!found[0]) {
    throw new NotFoundError("container", text, {
      message: `no container with name or ID "${text}" found: no such container`,
    });
  }
  return found[0];
}

/** The container as it is now. Throws NotFoundError, also where it has vanished since it was recorded. */
export async function observe(engine: Engine, text: string): Promise<Observed> {
  const db = await engine.database();
  const row = findRow(db, text);
  const [observed] = await observeContainers(db, engine.folders.containers, [row], { checkFolders: true });
  if (observed) return observed;
  throw new NotFoundError("container", text, {
    message: `no container with name or ID "${text}" found: no such container`,
  });
}

/** The observed container, which must run (or be paused). `action` begins the error: `attach to`. */
export async function observeRunning(
  engine: Engine,
  text: string,
  action: string,
  { paused = false } = {},
): Promise<Observed> {
  const observed = await observe(engine, text);
  const { status } = observed.status;
  if (status === "running" || status === "stopping" || (paused && status === "paused")) return observed;
  throw new ConflictError(`${action} container "${text}": it is not running, its state is ${status}`);
}

/** Reads `config.json`. */
export function loadConfig(engine: Engine, id: string): ContainerConfig {
  const path = `${engine.containerDir(id)}/config.json`;
  try {
    return JSON.parse(Deno.readTextFileSync(path));
  } catch (cause) {
    // it has been removed since it was looked up
    if (!faccessat(AT_FDCWD, engine.containerDir(id), F_OK)) {
      throw new NotFoundError("container", id.slice(0, 12));
    }
    throw new SkiffError(`read config of container ${id.slice(0, 12)}: it is missing or damaged`, {
      cause,
      hint: `remove the container: skiff rm -f ${id.slice(0, 12)}`,
    });
  }
}

/** Whether there is such a container. */
export async function containerExists(engine: Engine, text: string): Promise<boolean> {
  try {
    await observe(engine, text);
    return true;
  } catch (error) {
    if (error instanceof NotFoundError) return false;
    throw error;
  }
}

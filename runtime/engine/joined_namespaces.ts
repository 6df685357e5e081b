/** The namespaces of other containers that one joins, looked up right before its start. */

import type { ContainerConfig } from "../container/config.ts";
import type { PlanFacts } from "../container/plan.ts";
import { findRow, observeRunning } from "./containers.ts";
import { NotFoundError } from "../errors.ts";
import type { Database } from "../state/db.ts";
import type { Engine } from "./engine.ts";

type Joined = Pick<PlanFacts, "join" | "sharedMemoryOf">;

export async function findJoined(engine: Engine, config: ContainerConfig): Promise<Joined> {
  const joined: Required<Pick<Joined, "join">> & Joined = { join: [] };
  for (const type of ["pid", "ipc", "uts"] as const) {
    const choice = config.namespaces?.[type];
    if (choice?.mode === "path") joined.join.push({ type, path: choice.path });
    if (choice?.mode !== "container") continue;
    const { status } = await observeRunning(engine, choice.id, `join the ${type} namespace of`);
    joined.join.push({ type, path: `/proc/${status.pid}/ns/${type}` });
    if (type === "ipc") joined.sharedMemoryOf = status.pid;
  }
  return joined;
}

/** Whose namespace of that type is to be joined, with podman's words where there is none. */
export function findOther(db: Database, text: string, type: string): { id: string } {
  try {
    return findRow(db, text);
  } catch (cause) {
    if (!(cause instanceof NotFoundError)) throw cause;
    const message = `looking up container to share ${type} namespace with: ${cause.message}`;
    throw new NotFoundError("container", text, { cause, message });
  }
}

/** How a text leads to a pod, which containers it has, and in what state they are together. */

import { isLive, observeContainers, type Observed } from "../../container/state.ts";
import { ConflictError, NotFoundError } from "../../errors.ts";
import { findContainer, findContainerByName, listContainersOfPod } from "../../state/containers.ts";
import type { Database } from "../../state/db.ts";
import { findPods, type PodRow } from "../../state/pods.ts";
import { loadConfig } from "../containers.ts";
import type { Engine } from "../engine.ts";
import type { PodDocument } from "./options.ts";

export type Pod = PodRow<PodDocument>;

/** In podman's words. */
export type PodStatus = "Created" | "Running" | "Paused" | "Exited" | "Stopped" | "Degraded" | "Error";

export interface ObservedPod {
  pod: Pod;
  /** The oldest first. */
  members: Observed[];
  /** Ids of those that run before the others, to their end; which live is not looked up. */
  inits: ReadonlySet<string>;
  status: PodStatus;
}

/** By id, name or the beginning of an id. @throws {NotFoundError} */
export function findPod(db: Database, text: string): Pod {
  const [pod, another] = findPods<PodDocument>(db, text);
  if (another) throw new ConflictError(`find pod "${text}": more than one id begins with it`);
  if (pod) return pod;
  const isContainer = findContainer(db, text) ?? findContainerByName(db, text);
  const message = isContainer
    ? `${text} is a container, not a pod: no such pod`
    : `no pod with name or ID ${text} found: no such pod`;
  throw new NotFoundError("pod", text, { message });
}

export async function observePod(engine: Engine, text: string): Promise<ObservedPod> {
  return await observeMembers(engine, findPod(await engine.database(), text));
}

/** The pod's containers as they are now. */
export async function observeMembers(engine: Engine, pod: Pod): Promise<ObservedPod> {
  const db = await engine.database();
  const rows = listContainersOfPod(db, pod.id);
  const members = await observeContainers(db, engine.folders.containers, rows, { checkFolders: true });
  const inits = new Set(members.filter((member) => isInit(engine, member)).map(({ row }) => row.id));
  // that they have ended is how it should be
  const counted = members.filter(({ row, status }) => status.status !== "exited" || !inits.has(row.id));
  return { pod, members, inits, status: podStatus(counted.map(({ status }) => status.status)) };
}

function isInit(engine: Engine, { row, status }: Observed): boolean {
  if (isLive(status.status)) return false;
  try {
    return loadConfig(engine, row.id).pod?.init !== undefined;
  } catch {
    return false; // it is being removed
  }
}

/** @see libpod's pod states: podman-pod-ps(1), --filter status */
export function podStatus(states: readonly Observed["status"]["status"][]): PodStatus {
  const count = (...wanted: string[]) => states.filter((state) => wanted.includes(state)).length;
  if (states.length === 0) return "Created";
  const running = count("running");
  if (running > 0) return running === states.length ? "Running" : "Degraded";
  if (count("paused") === states.length) return "Paused";
  const ended = count("exited");
  if (ended > 0) return ended === states.length ? "Exited" : "Stopped";
  return count("created") === states.length || count("paused") > 0 ? "Created" : "Error";
}

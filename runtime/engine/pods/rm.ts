/** `pod rm` and `pod prune`. */

import { isLive } from "../../container/state.ts";
import { ConflictError, NotFoundError } from "../../errors.ts";
import { recordEvent } from "../../state/events.ts";
import { deleteEmptyPod, listPods } from "../../state/pods.ts";
import type { Engine } from "../engine.ts";
import { rm } from "../rm.ts";
import { type ObservedPod, observeMembers, observePod } from "./find.ts";
import type { PodDocument } from "./options.ts";

export interface PodRmOptions {
  /** Kills its containers where they run. */
  force?: boolean;
  /** No error where there is no such pod. */
  ignore?: boolean;
  /** With `force`: how long its containers have to stop by themselves; by default they are killed at once. */
  timeoutSeconds?: number;
}

/** Somebody may make another container in it meanwhile. */
const ATTEMPTS = 10;

/** Removes a pod with its containers. Returns its id; undefined where there was nothing (`ignore`). */
export async function podRm(
  engine: Engine,
  text: string,
  options: PodRmOptions = {},
): Promise<string | undefined> {
  try {
    const { pod } = await observePod(engine, text);
    for (let attempt = 0;; attempt++) {
      // another command may have removed it
      if (await removeOnce(engine, await observePod(engine, pod.id), options)) break;
      if (attempt === ATTEMPTS) {
        throw new ConflictError(`remove pod "${pod.name}": containers are added to it again and again`);
      }
    }
    recordEvent(engine.folders, { type: "pod", action: "remove", id: pod.id, name: pod.name });
    return pod.id;
  } catch (error) {
    if (options.ignore && error instanceof NotFoundError) return undefined;
    throw error;
  }
}

async function removeOnce(
  engine: Engine,
  { pod, members }: ObservedPod,
  { force = false, timeoutSeconds }: PodRmOptions,
): Promise<boolean> {
  const others = members.filter(({ row }) => row.id !== pod.infraId);
  const running = others.find(({ status }) => isLive(status.status));
  if (running && !force) {
    throw new ConflictError(
      `remove pod "${pod.name}": its container ${running.row.name} is ${running.status.status} - ` +
        "running or paused containers cannot be removed without force",
    );
  }
  const how = { force, volumes: true, ignore: true, depend: true, timeoutSeconds };
  await Promise.all(others.map(({ row }) => rm(engine, row.id, how)));
  const db = await engine.database();
  // from here on the infra container is one like others, so that a kill leaves nothing that cannot be removed
  if (!await db.transaction(() => deleteEmptyPod(db, pod.id))) return false;
  if (pod.infraId !== undefined) {
    // it holds what nobody uses any more, and may run
    await rm(engine, pod.infraId, { force: true, volumes: true, ignore: true });
  }
  return true;
}

/** Removes the pods whose containers have all ended, or some of them where the others never ran; `ids` are candidates. */
export async function* podPrune(engine: Engine, ids?: readonly string[]): AsyncGenerator<string> {
  for (const pod of listPods<PodDocument>(await engine.database())) {
    if (ids && !ids.includes(pod.id)) continue;
    const observed = await observeMembers(engine, pod);
    if (observed.status !== "Exited" && observed.status !== "Stopped") continue;
    try {
      const removed = await podRm(engine, pod.id, { ignore: true });
      if (removed !== undefined) yield removed;
    } catch (error) {
      // started meanwhile
      if (!(error instanceof ConflictError)) throw error;
    }
  }
}

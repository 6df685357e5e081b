/**
 * The exit policy `stop` where the monitor of the last container was killed, which would have ended the pod: whoever
 * looks at the pod next does it.
 */

import { isLive, MONITOR_KILLED } from "../../container/state.ts";
import type { Engine } from "../engine.ts";
import { type ObservedPod, observePod } from "./find.ts";

/** What is observed, or what has become of it. */
export async function settlePod(engine: Engine, observed: ObservedPod): Promise<ObservedPod> {
  if (!isAbandoned(observed)) return observed;
  await (await import("./change.ts")).stopIdlePod(engine, observed.pod.id);
  return await observePod(engine, observed.pod.id);
}

function isAbandoned({ pod, members }: ObservedPod): boolean {
  if (pod.document.options.exitPolicy !== "stop" || pod.infraId === undefined) return false;
  const infra = members.find(({ row }) => row.id === pod.infraId);
  if (!infra || !isLive(infra.status.status)) return false;
  const others = members.filter((member) => member !== infra).map(({ status }) => status);
  // of a run of the pod before this one it tells nothing
  return others.every(({ status }) => status === "exited") &&
    others.some(({ error, finishedAt }) => error === MONITOR_KILLED && finishedAt > infra.status.startedAt);
}

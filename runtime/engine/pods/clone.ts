/** `pod clone`: another pod with the same options, and clones of its containers. */

import type { ContainerConfig } from "../../container/config.ts";
import { isPodName } from "../../state/containers.ts";
import { clone, cloneName } from "../clone.ts";
import { loadConfig } from "../containers.ts";
import type { Engine } from "../engine.ts";
import { podStart } from "./change.ts";
import { type CreatedPod, podCreate } from "./create.ts";
import { findPod, observePod } from "./find.ts";
import { setHostname } from "./move.ts";
import type { PodCreateOptions } from "./options.ts";
import { podRm } from "./rm.ts";

export interface PodCloneOptions extends Omit<PodCreateOptions, "replace" | "podIdFile"> {
  /** Remove the original, whether it runs or not. */
  destroy?: boolean;
  /** Start the clone. */
  start?: boolean;
}

/** Published ports are the original's as well, so that only one of the two can run with them. */
export async function podClone(
  engine: Engine,
  text: string,
  { destroy, start, ...changes }: PodCloneOptions = {},
): Promise<CreatedPod> {
  const { pod, members } = await observePod(engine, text);
  const db = await engine.database();
  const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
  const { infraName: _, conmonPidFile: __, ...original } = pod.document.options;
  const created = await podCreate(engine, {
    ...original,
    labels: pod.labels,
    ...given,
    name: changes.name ?? cloneName(pod.name, (text) => isPodName(db, text)),
  });
  try {
    const copy = findPod(db, created.id);
    const [from, to] = [pod.infraId, copy.infraId];
    const hostnames = from !== undefined && to !== undefined
      ? [loadConfig(engine, from).hostname, loadConfig(engine, to).hostname] as const
      : undefined;
    for (const { row } of members) {
      if (row.id === from) continue;
      await clone(engine, row.id, {
        adapt: (config) => {
          config.pod = { ...config.pod, id: copy.id, ...(to !== undefined && { infra: to }) };
          if (from !== undefined && to !== undefined) rejoin(config, from, to);
          if (hostnames !== undefined && config.hostname === hostnames[0]) setHostname(config, hostnames[1]);
        },
      });
    }
  } catch (error) {
    await podRm(engine, created.id, { force: true, ignore: true });
    throw error;
  }
  if (destroy) await podRm(engine, pod.id, { force: true });
  if (start) await podStart(engine, created.id);
  return created;
}

/** What was shared with the one infra container is with the other. */
function rejoin(config: ContainerConfig, from: string, to: string): void {
  const { network, namespaces = {}, joinedUserns } = config;
  if (network.mode === "container" && network.id === from) config.network = { mode: "container", id: to };
  config.namespaces = Object.fromEntries(
    Object.entries(namespaces).map(([type, choice]) => [
      type,
      choice.mode === "container" && choice.id === from ? { ...choice, id: to } : choice,
    ]),
  );
  if (joinedUserns?.mode === "container" && joinedUserns.id === from) {
    config.joinedUserns = { ...joinedUserns, id: to };
  }
}

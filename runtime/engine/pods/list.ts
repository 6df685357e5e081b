/** `pod ps`: the pods, as `podman pod ps --format json` lists them. */

import { NotFoundError } from "../../errors.ts";
import { listPods } from "../../state/pods.ts";
import { networkNamesByContainer } from "../../state/networks.ts";
import type { Engine } from "../engine.ts";
import { findPod, observeMembers, observePod, type PodStatus } from "./find.ts";
import { settlePod } from "./idle.ts";
import type { PodDocument } from "./options.ts";

export interface PodListEntry {
  /** skiff has no cgroups of pods. */
  Cgroup: string;
  /** The oldest first, which is the infra container. */
  Containers: { Id: string; Names: string; Status: string; RestartCount: number }[];
  /** ISO 8601. */
  Created: string;
  Id: string;
  InfraId: string;
  Name: string;
  Namespace: string;
  Networks: string[];
  Status: PodStatus;
  Labels: Record<string, string>;
}

/** Newest first. */
export async function pods(engine: Engine): Promise<PodListEntry[]> {
  const db = await engine.database();
  const networks = networkNamesByContainer(db);
  const entries: PodListEntry[] = [];
  for (const pod of listPods<PodDocument>(db)) {
    const { members, status } = await settlePod(engine, await observeMembers(engine, pod));
    entries.push({
      Cgroup: "",
      Containers: members.map(({ row, status }) => ({
        Id: row.id,
        Names: row.name,
        Status: status.status,
        RestartCount: 0,
      })),
      Created: pod.createdAt,
      Id: pod.id,
      InfraId: pod.infraId ?? "",
      Name: pod.name,
      Namespace: "",
      Networks: pod.infraId === undefined ? [] : networks.get(pod.infraId) ?? [],
      Status: status,
      Labels: pod.labels,
    });
  }
  return entries;
}

export async function podExists(engine: Engine, text: string): Promise<boolean> {
  try {
    return findPod(await engine.database(), text) !== undefined;
  } catch (error) {
    if (error instanceof NotFoundError) return false;
    throw error;
  }
}

/** The containers of one pod, the infra container among them. */
export async function podMembers(
  engine: Engine,
  text: string,
): Promise<{ Id: string; Name: string; IsInfra: boolean }[]> {
  const { pod, members } = await observePod(engine, text);
  return members.map(({ row }) => ({ Id: row.id, Name: row.name, IsInfra: row.id === pod.infraId }));
}

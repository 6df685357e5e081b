/** What is shown of a container's pod: in `ps`, `port`, `inspect`. Loaded where a container is in one. */

import { type ContainerPorts, type ContainerRow, findContainer } from "../../state/containers.ts";
import type { Database } from "../../state/db.ts";
import { findPods, listPods } from "../../state/pods.ts";
import { portDocument } from "../port_view.ts";
import type { ContainerListEntry } from "../ps.ts";

/** The ports of the network that a container has from its pod. */
export function portsOfPod(db: Database, row: ContainerRow): ContainerPorts | undefined {
  if (row.ports || !row.pod || row.network !== "container") return row.ports;
  const [pod] = findPods(db, row.pod);
  return pod?.infraId === undefined ? undefined : findContainer(db, pod.infraId)?.ports;
}

/** Completes what `ps` lists of containers of pods; `rows` are theirs. */
export function addPods(
  db: Database,
  rows: readonly ContainerRow[],
  entries: readonly ContainerListEntry[],
): void {
  const pods = new Map(listPods(db).map((pod) => [pod.id, pod]));
  rows.forEach((row, index) => {
    const pod = row.pod === undefined ? undefined : pods.get(row.pod);
    if (!pod) return;
    Object.assign(entries[index]!, { Pod: pod.id, PodName: pod.name, IsInfra: pod.infraId === row.id });
    row.ports = portsOfPod(db, row);
  });
}

/** The keys of `inspect` that a pod changes. */
export function podDocument(db: Database, row: ContainerRow) {
  const ports = portsOfPod(db, row);
  const { ports: published } = portDocument({ ports: ports?.published, exposed: ports?.exposed });
  const isInfra = row.pod !== undefined && findPods(db, row.pod)[0]?.infraId === row.id;
  return { id: row.pod ?? "", isInfra, published };
}

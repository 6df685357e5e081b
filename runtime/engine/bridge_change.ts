/** What running containers are to notice of a change of networks: asked of whoever holds the bridges. */

import { isLive, observeContainers } from "../container/state.ts";
import type { BridgeChange } from "../network/plan.ts";
import { type ContainerRow, findContainer } from "../state/containers.ts";
import { listLeases } from "../state/networks.ts";
import type { Engine } from "./engine.ts";

/** Returns when it is done, or none of these containers runs any more. */
export async function changeBridge(
  engine: Engine,
  change: BridgeChange,
  rows: readonly ContainerRow[],
): Promise<void> {
  const { requestBridgeChange } = await import("../network/bridge/client.ts");
  await requestBridgeChange(engine.folders, change, async () => {
    if (rows.length === 0) return false;
    const observed = await observeContainers(await engine.database(), engine.folders.containers, rows);
    return observed.some(({ status }) => isLive(status.status));
  });
}

/** The containers that have addresses on the network, as far as the database knows. */
export async function containersOn(engine: Engine, networkId: string): Promise<ContainerRow[]> {
  const db = await engine.database();
  const ids = new Set(
    listLeases(db, networkId).filter(({ isLive }) => isLive).map((lease) => lease.containerId),
  );
  return [...ids].flatMap((id) => findContainer(db, id) ?? []);
}

/** As root, what containers and the holder of their bridges have left of these where all of them were killed. */
export async function removeBridgeRemains({ namespaces, folders }: Engine): Promise<void> {
  if (namespaces.isRootless) return;
  const { removeRemains } = await import("../network/bridge/host_record.ts");
  removeRemains(folders);
}

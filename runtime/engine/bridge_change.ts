/** What running containers are to notice of a change of networks: asked of whoever holds the bridges. */

import type { BridgeChange } from "../network/plan.ts";
import type { Engine } from "./engine.ts";

/** Returns when it is done; where no container is on a bridge nobody has to be asked. */
export async function changeBridge(engine: Engine, change: BridgeChange): Promise<void> {
  const { requestBridgeChange } = await import("../network/bridge/client.ts");
  await requestBridgeChange(engine.folders, change);
}

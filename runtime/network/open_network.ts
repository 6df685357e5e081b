/** From the plan of a network to who serves it in the monitor. */

import type { MonitorNetwork, NetworkGround } from "./monitor_network.ts";
import type { NetworkPlan } from "./plan.ts";
import { UserModeNetwork } from "./user_mode_network.ts";

export function openNetwork(plan: NetworkPlan, ground: NetworkGround): MonitorNetwork {
  return new UserModeNetwork(plan.stack, ground);
}

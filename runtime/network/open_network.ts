/** From the plan of a network to who serves it in the monitor. */

import { openBridgeMember, openParentLinks, openProgramNetwork } from "./lazy_code.ts";
import type { MonitorNetwork, NetworkGround } from "./monitor_network.ts";
import type { NetworkPlan } from "./plan.ts";
import { UserModeNetwork } from "./user_mode_network.ts";

export function openNetwork(plan: NetworkPlan, ground: NetworkGround): MonitorNetwork {
  if (plan.kind === "user-mode") return new UserModeNetwork(plan.stack, ground);
  if (plan.kind === "bridge") {
    const { BridgeMember } = openBridgeMember()();
    return new BridgeMember(plan, ground);
  }
  if (plan.kind === "parent") {
    const { ParentLinks } = openParentLinks()();
    return new ParentLinks(plan);
  }
  const { ProgramNetwork } = openProgramNetwork()();
  return new ProgramNetwork(plan, ground);
}

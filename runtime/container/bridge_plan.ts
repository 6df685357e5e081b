/** The part of a monitor's plan that puts its container on the user's networks. */

import type { BridgePlan } from "../network/plan.ts";
import type { NamespaceContext } from "../namespaces/context.ts";
import type { MonitorPlan } from "../monitor/plan.ts";

/** Completes the plan of a container that has a network namespace of its own and nobody else to serve it. */
export function planBridges(
  plan: MonitorPlan,
  bridge: BridgePlan,
  { membersDir, isRootless }: Pick<NamespaceContext, "membersDir" | "isRootless">,
  data: string,
): void {
  plan.init.annex.handsOverNetwork = true;
  if (bridge.attachments.some(({ network }) => network.driver !== "bridge")) {
    plan.network = { kind: "parent", attachments: bridge.attachments };
    return;
  }
  plan.network = {
    kind: "bridge",
    bridge,
    holder: { run: plan.runtimeDir, members: membersDir, data, isOfMachine: !isRootless },
  };
  // whoever is first forks the holder, which must not be born among the container's processes
  plan.init.annex.monitorForksAgain = true;
}

/** Starts the monitor of an exec session. It joins the container, so there are no ids to be mapped. */

import { growExecSeed } from "../monitor/exec_seed.ts";
import type { ExecPlan } from "../monitor/plan.ts";
import { type ForkedMonitor, withListener } from "./fork_listener.ts";

/** Starts the session; a client can connect to its socket at once. */
export function startExecMonitor(plan: ExecPlan): ForkedMonitor {
  return withListener(plan.socketPath, [], (fds) => growExecSeed(plan, fds));
}

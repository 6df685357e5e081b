/** Forks the monitor of an exec session. It joins the container, so there are no ids to be mapped. */

import { runExecMonitor } from "../monitor/exec_monitor.ts";
import type { ExecPlan } from "../monitor/plan.ts";
import { type ForkedMonitor, forkListener } from "./fork_listener.ts";

/** Starts the session; a client can connect to its socket at once. */
export function forkExecMonitor(plan: ExecPlan): ForkedMonitor {
  return forkListener(plan.socketPath, [], (fds) => runExecMonitor(plan, fds));
}

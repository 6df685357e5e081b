/** From what looks after a container to what its monitor is told. Pure; loaded only where there is any of it. */

import type { SupervisionPlan } from "../monitor/plan.ts";
import type { ContainerConfig } from "./config.ts";
import { planExec } from "./exec_plan.ts";
import type { HealthConfig, Lifecycle } from "./lifecycle_options.ts";
import type { PlanFacts } from "./plan.ts";

export function planSupervision(
  config: ContainerConfig,
  { restart, health, timeoutSeconds }: Lifecycle,
  facts: PlanFacts,
): SupervisionPlan {
  return { restart, timeoutSeconds, ...(health && { health: planHealth(config, health, facts) }) };
}

function planHealth(
  config: ContainerConfig,
  health: HealthConfig,
  facts: PlanFacts,
): SupervisionPlan["health"] {
  const { test, ...rest } = health;
  const [kind, ...words] = test;
  const command = kind === "CMD-SHELL" ? ["/bin/sh", "-c", words.join(" ")] : words;
  const { runtimeDir, eventsPath, seccomp, isSingleId, lastCapability, callerNofile } = facts;
  const exec = planExec(config, { command }, {
    sessionId: "health",
    sessionDir: "",
    eventsPath,
    runtimeDir,
    socketPath: "",
    // the monitor fills in whom it joins
    state: { initPid: 0, initStartTime: "" },
    seccomp,
    isSingleId,
    lastCapability,
    callerNofile,
    startOnAttach: false,
  });
  return { ...rest, exec };
}

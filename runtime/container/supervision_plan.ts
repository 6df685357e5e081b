/** From what looks after a container to what its monitor is told. Pure; loaded only where there is any of it. */

import { UnsupportedError } from "../errors.ts";
import type { ExecPlan, MonitorPlan, SupervisionPlan } from "../monitor/plan.ts";
import type { ContainerConfig } from "./config.ts";
import { planExec } from "./exec_plan.ts";
import type { HealthConfig, Lifecycle } from "./lifecycle_options.ts";
import type { PlanFacts } from "./plan.ts";

/** What a check is planned with. */
export type CheckFacts = Pick<
  PlanFacts,
  "runtimeDir" | "eventsPath" | "seccomp" | "isSingleId" | "lastCapability" | "callerNofile"
>;

export function planSupervision(
  config: ContainerConfig,
  { restart, health, timeoutSeconds }: Lifecycle,
  facts: CheckFacts,
): SupervisionPlan {
  return { restart, timeoutSeconds, ...(health && { health: planHealth(config, health, facts) }) };
}

/** Adds to `plan` that NOTIFY_SOCKET is told, and the container's own socket. */
export function planNotify(plan: MonitorPlan, socket: string, { sdnotify = "container" }: Lifecycle): void {
  if (!socket.startsWith("/")) {
    throw new UnsupportedError(`use NOTIFY_SOCKET "${socket}": only a path is supported`, {
      hint: "use --sdnotify=ignore",
    });
  }
  plan.supervision ??= {};
  if (sdnotify === "conmon") {
    plan.supervision.notify = { socket };
    return;
  }
  const folder = `${plan.runtimeDir}/n/${plan.id.slice(0, 32)}`;
  const { spec } = plan.init;
  plan.supervision.notify = { socket, folder };
  spec.mounts.push({
    destination: "/run/notify",
    type: "bind",
    source: folder,
    options: ["bind", "rprivate"],
  });
  spec.process.env = [
    ...spec.process.env.filter((word) => !word.startsWith("NOTIFY_SOCKET=")),
    "NOTIFY_SOCKET=/run/notify/notify.sock",
  ];
}

function planHealth(
  config: ContainerConfig,
  health: HealthConfig,
  facts: CheckFacts,
): SupervisionPlan["health"] {
  const { test, startup, ...rest } = health;
  return {
    ...rest,
    exec: planCheck(config, test, facts),
    ...(startup && {
      startup: {
        intervalMs: startup.intervalMs,
        timeoutMs: startup.timeoutMs,
        retries: startup.retries,
        successes: startup.successes,
        exec: planCheck(config, startup.test, facts),
      },
    }),
  };
}

function planCheck(config: ContainerConfig, [kind, ...words]: string[], facts: CheckFacts): ExecPlan {
  const command = kind === "CMD-SHELL" ? ["/bin/sh", "-c", words.join(" ")] : words;
  const { runtimeDir, eventsPath, seccomp, isSingleId, lastCapability, callerNofile } = facts;
  return planExec(config, { command }, {
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
}

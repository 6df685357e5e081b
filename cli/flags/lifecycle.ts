/** What looks after a container once it runs. @see podman-run(1) */

import type { LifecycleOptions } from "../../runtime/engine/options.ts";
import type { Flags, Values } from "../command.ts";

export const HEALTH_FLAGS = {
  "health-cmd": {
    kind: "string",
    value: "COMMAND",
    help: "Check the container's health with a command or JSON list",
  },
  "health-interval": {
    kind: "string",
    value: "TIME",
    help: "Time between two checks; disable: none (default 30s)",
  },
  "health-log-destination": {
    kind: "string",
    value: "WHERE",
    help: "Where results go: local, events_logger or a folder (default local)",
  },
  "health-max-log-count": {
    kind: "uint",
    value: "N",
    help: "Results of checks that are kept; 0: all (default 5)",
  },
  "health-max-log-size": {
    kind: "uint",
    value: "N",
    help: "Bytes that are kept of a check's output; 0: all (default 500)",
  },
  "health-on-failure": {
    kind: "string",
    value: "ACTION",
    help: "What is done when it is unhealthy: none, kill, restart or stop (default none)",
  },
  "health-retries": {
    kind: "uint",
    value: "N",
    help: "Failures in a row that make it unhealthy (default 3)",
  },
  "health-start-interval": {
    kind: "string",
    value: "TIME",
    help: "Time between two checks in the start period (default 5s)",
  },
  "health-start-period": {
    kind: "string",
    value: "TIME",
    help: "Time in which failures do not count (default 0s)",
  },
  "health-startup-cmd": {
    kind: "string",
    value: "COMMAND",
    help: "Check this first: only when it has succeeded the container's health is checked",
  },
  "health-startup-interval": {
    kind: "string",
    value: "TIME",
    help: "Time between two checks of the start; disable: none (default 30s)",
  },
  "health-startup-retries": {
    kind: "uint",
    value: "N",
    help: "Failed checks of the start after which the container is restarted (default 0: it is not)",
  },
  "health-startup-success": {
    kind: "uint",
    value: "N",
    help: "Successes in a row that end the start (default 0: one)",
  },
  "health-startup-timeout": {
    kind: "string",
    value: "TIME",
    help: "Time after which a check of the start has failed (default 30s)",
  },
  "health-timeout": {
    kind: "string",
    value: "TIME",
    help: "Time after which a check has failed (default 30s)",
  },
  "no-healthcheck": { kind: "bool", help: "Do not check its health, whatever the image says" },
} as const satisfies Flags;

export const RESTART_FLAG = {
  restart: {
    kind: "string",
    value: "POLICY",
    help: "When to start it again: no, always, on-failure[:N], unless-stopped (default no)",
  },
} as const satisfies Flags;

export const LIFECYCLE_FLAGS = {
  ...HEALTH_FLAGS,
  ...RESTART_FLAG,
  requires: { kind: "list", value: "CONTAINER", help: "Start these containers before it" },
  sdnotify: {
    kind: "string",
    value: "MODE",
    help:
      "Who tells NOTIFY_SOCKET of readiness: container, conmon (at its start) or ignore (default container)",
  },
  timeout: { kind: "uint", value: "SECONDS", help: "Kill it when it has run for so long" },
} as const satisfies Flags;

/** undefined where nothing is asked for. */
export function lifecycleOptions(options: Values<typeof LIFECYCLE_FLAGS>): LifecycleOptions | undefined {
  const asked: LifecycleOptions = {
    restart: options.restart,
    ...healthOptions(options),
    sdnotify: options.sdnotify,
    timeoutSeconds: options.timeout,
    requires: options.requires.length > 0 ? options.requires : undefined,
  };
  return Object.values(asked).some((value) => value !== undefined) ? asked : undefined;
}

export function healthOptions(options: Values<typeof HEALTH_FLAGS>) {
  return {
    healthCmd: options["health-cmd"],
    healthInterval: options["health-interval"],
    healthTimeout: options["health-timeout"],
    healthStartPeriod: options["health-start-period"],
    healthStartInterval: options["health-start-interval"],
    healthRetries: options["health-retries"],
    healthOnFailure: options["health-on-failure"],
    healthStartupCmd: options["health-startup-cmd"],
    healthStartupInterval: options["health-startup-interval"],
    healthStartupTimeout: options["health-startup-timeout"],
    healthStartupRetries: options["health-startup-retries"],
    healthStartupSuccess: options["health-startup-success"],
    healthLogDestination: options["health-log-destination"],
    healthMaxLogCount: options["health-max-log-count"],
    healthMaxLogSize: options["health-max-log-size"],
    noHealthcheck: options["no-healthcheck"] || undefined,
  };
}

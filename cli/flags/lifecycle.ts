/** What looks after a container once it runs. @see podman-run(1) */

import type { LifecycleOptions } from "../../runtime/engine/options.ts";
import type { Flags, Values } from "../command.ts";

export const LIFECYCLE_FLAGS = {
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
  "health-timeout": {
    kind: "string",
    value: "TIME",
    help: "Time after which a check has failed (default 30s)",
  },
  "no-healthcheck": { kind: "bool", help: "Do not check its health, whatever the image says" },
  requires: { kind: "list", value: "CONTAINER", help: "Start these containers before it" },
  restart: {
    kind: "string",
    value: "POLICY",
    help: "When to start it again: no, always, on-failure[:N], unless-stopped (default no)",
  },
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
    healthCmd: options["health-cmd"],
    healthInterval: options["health-interval"],
    healthTimeout: options["health-timeout"],
    healthStartPeriod: options["health-start-period"],
    healthStartInterval: options["health-start-interval"],
    healthRetries: options["health-retries"],
    healthOnFailure: options["health-on-failure"],
    noHealthcheck: options["no-healthcheck"] || undefined,
    sdnotify: options.sdnotify,
    timeoutSeconds: options.timeout,
    requires: options.requires.length > 0 ? options.requires : undefined,
  };
  return Object.values(asked).some((value) => value !== undefined) ? asked : undefined;
}

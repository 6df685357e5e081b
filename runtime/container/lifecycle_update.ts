/** `update --restart` and `--health-*`: what of a container's lifecycle is replaced, and what stays. @see podman-update(1) */

import { InvalidArgumentError } from "../errors.ts";
import type { Healthcheck } from "../spec/image.ts";
import { type HealthConfig, type Lifecycle, resolveLifecycle } from "./lifecycle_options.ts";
import type { LifecycleOptions } from "./options.ts";

/** What cannot be without a command to check with. */
const CHECK_OPTIONS: (keyof LifecycleOptions)[] = [
  "healthInterval",
  "healthTimeout",
  "healthStartPeriod",
  "healthStartInterval",
  "healthRetries",
  "healthOnFailure",
  "healthLogDestination",
  "healthMaxLogCount",
  "healthMaxLogSize",
];
const STARTUP_OPTIONS: (keyof LifecycleOptions)[] = [
  "healthStartupInterval",
  "healthStartupTimeout",
  "healthStartupRetries",
  "healthStartupSuccess",
];

/** @throws {InvalidArgumentError} in podman's words */
export function updateLifecycle(
  before: Lifecycle = {},
  options: LifecycleOptions,
  autoRemove: boolean,
): Lifecycle | undefined {
  const isGiven = (keys: (keyof LifecycleOptions)[]) => keys.some((key) => options[key] !== undefined);
  const { restart, health, healthIsOff, ...others } = before;
  let next: Lifecycle = { ...others, ...(restart && { restart }), ...(healthIsOff && { healthIsOff }) };
  if (options.restart !== undefined) {
    delete next.restart;
    next = { ...next, ...resolveLifecycle({ restart: options.restart }, undefined, autoRemove) };
  }
  if (options.noHealthcheck) {
    if (isGiven(["healthCmd", "healthStartupCmd", ...CHECK_OPTIONS, ...STARTUP_OPTIONS])) {
      throw new InvalidArgumentError("cannot specify both --no-healthcheck and other HealthCheck flags");
    }
    return { ...next, healthIsOff: true };
  }
  if (!health && options.healthCmd === undefined && isGiven(CHECK_OPTIONS)) {
    throw new InvalidArgumentError("healthcheck command is not set");
  }
  if (!health?.startup && options.healthStartupCmd === undefined && isGiven(STARTUP_OPTIONS)) {
    throw new InvalidArgumentError("startup healthcheck command is not set");
  }
  const { restart: _, ...asked } = options;
  const resolved = resolveLifecycle(
    { ...optionsOf(health), ...asked },
    health && checkOf(health),
    autoRemove,
  );
  if (resolved?.health) {
    delete next.healthIsOff;
    next.health = resolved.health;
  }
  return Object.keys(next).length > 0 ? next : undefined;
}

/** As an image would have it: times that an image may have and an option may not are left as they are. */
function checkOf(
  { test, intervalMs, timeoutMs, startPeriodMs, startIntervalMs, retries }: HealthConfig,
): Healthcheck {
  return {
    Test: test,
    Interval: intervalMs * 1e6,
    Timeout: timeoutMs * 1e6,
    StartPeriod: startPeriodMs * 1e6,
    StartInterval: startIntervalMs * 1e6,
    Retries: retries,
  };
}

/** What no image can say. */
function optionsOf(health: HealthConfig | undefined): LifecycleOptions {
  if (!health) return {};
  const { intervalMs, onFailure, startup, log } = health;
  return {
    healthOnFailure: onFailure,
    ...(intervalMs === 0 && { healthInterval: "disable" }),
    ...(startup && {
      healthStartupCmd: JSON.stringify(startup.test),
      healthStartupInterval: startup.intervalMs === 0 ? "disable" : `${startup.intervalMs}ms`,
      healthStartupTimeout: `${startup.timeoutMs}ms`,
      healthStartupRetries: startup.retries,
      healthStartupSuccess: startup.successes,
    }),
    ...(log && {
      healthLogDestination: log.destination,
      healthMaxLogCount: log.maxCount,
      healthMaxLogSize: log.maxSize,
    }),
  };
}

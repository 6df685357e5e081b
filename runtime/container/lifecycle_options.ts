/**
 * What looks after a container once it runs: the restart policy, health checks, a time limit. Resolved from the
 * options and the image; loaded only where one of the two has any of it.
 *
 * @see podman-run(1), --restart, --health-cmd and what follows; image-spec's predecessor, Docker's HEALTHCHECK
 */

import { InvalidArgumentError } from "../errors.ts";
import type { Healthcheck } from "../spec/image.ts";
import { parseGoDuration } from "../spec/duration.ts";
import type { LifecycleOptions } from "./options.ts";

export interface Lifecycle {
  restart?: RestartPolicy;
  health?: HealthConfig;
  /** `update --no-healthcheck`: inspect tells that there is none. */
  healthIsOff?: boolean;
  /** Killed after so long. */
  timeoutSeconds?: number;
  /** By default `container`. */
  sdnotify?: NotifyMode;
  /** Ids of containers that must run before it. */
  requires?: string[];
}

export interface RestartPolicy {
  policy: "always" | "unless-stopped" | "on-failure";
  /** Of `on-failure`; 0 is no limit. */
  retries: number;
}

export type NotifyMode = "container" | "conmon" | "ignore";

export type HealthAction = "none" | "kill" | "restart" | "stop";

export interface HealthConfig {
  /** `["CMD", …]` or `["CMD-SHELL", text]`. */
  test: string[];
  /** 0: only when it is asked for. */
  intervalMs: number;
  timeoutMs: number;
  startPeriodMs: number;
  startIntervalMs: number;
  retries: number;
  onFailure: HealthAction;
  /** Before it: until this has succeeded, the container is starting. */
  startup?: StartupHealthConfig;
  log?: HealthLogConfig;
}

export interface StartupHealthConfig {
  /** As of HealthConfig. */
  test: string[];
  intervalMs: number;
  timeoutMs: number;
  /** Failures after which the container is restarted; 0: never. */
  retries: number;
  /** In a row; 0 is one. */
  successes: number;
}

/** Where results go and how much of them is kept; 0 is all. */
export interface HealthLogConfig {
  /** `local`, `events_logger` or a folder's absolute path. */
  destination: string;
  maxCount: number;
  maxSize: number;
}

const NOTIFY_MODES: readonly string[] = ["container", "conmon", "ignore"];
const ACTIONS: readonly string[] = ["none", "kill", "restart", "stop"];

/** undefined where nothing is asked for. `requires` holds ids already. */
export function resolveLifecycle(
  options: LifecycleOptions,
  image: Healthcheck | undefined,
  autoRemove: boolean,
): Lifecycle | undefined {
  const { timeoutSeconds = 0, requires = [], sdnotify } = options;
  if (sdnotify !== undefined && !NOTIFY_MODES.includes(sdnotify)) {
    throw new InvalidArgumentError(
      `invalid argument: invalid sdnotify value "${sdnotify}": must be container, conmon or ignore`,
    );
  }
  const restart = parseRestartPolicy(options.restart ?? "");
  if (restart && autoRemove) {
    throw new InvalidArgumentError(
      'the --rm option conflicts with --restart, when the restartPolicy is not "" and "no"',
    );
  }
  const health = resolveHealth(options, image);
  const lifecycle: Lifecycle = {
    ...(restart && { restart }),
    ...(health && { health }),
    ...(timeoutSeconds > 0 && { timeoutSeconds }),
    ...(sdnotify !== undefined && sdnotify !== "container" && { sdnotify: sdnotify as NotifyMode }),
    ...(requires.length > 0 && { requires }),
  };
  return Object.keys(lifecycle).length > 0 ? lifecycle : undefined;
}

/** undefined: `no`. @throws {InvalidArgumentError} in podman's words */
export function parseRestartPolicy(text: string): RestartPolicy | undefined {
  const [policy = "", count, ...more] = text.split(":");
  if (count !== undefined && policy !== "on-failure") {
    throw new InvalidArgumentError(
      "restart policy retries can only be specified with on-failure restart policy",
    );
  }
  if (policy === "" || policy === "no" || policy === "never") return undefined;
  if (policy !== "always" && policy !== "unless-stopped" && policy !== "on-failure") {
    throw new InvalidArgumentError(`"${policy}" is not a valid restart policy: invalid argument`);
  }
  if (count !== undefined && (!/^\d{1,9}$/.test(count) || more.length > 0)) {
    throw new InvalidArgumentError(
      `parsing restart policy retry count: "${[count, ...more].join(":")}" is no number`,
    );
  }
  return { policy, retries: Number(count ?? 0) };
}

function resolveHealth(options: LifecycleOptions, image: Healthcheck | undefined): HealthConfig | undefined {
  const onFailure = options.healthOnFailure ?? "none";
  if (!ACTIONS.includes(onFailure)) {
    throw new InvalidArgumentError(
      `invalid on-failure action "${onFailure}" for health check: supported actions are ${ACTIONS.join(",")}`,
    );
  }
  if (options.noHealthcheck) {
    const given = options.healthCmd !== undefined
      ? "--health-cmd"
      : options.healthStartupCmd !== undefined && "--health-startup-cmd";
    if (!given) return undefined;
    throw new InvalidArgumentError(`cannot specify both --no-healthcheck and ${given}`);
  }
  const test = options.healthCmd === undefined ? image?.Test ?? [] : parseHealthCommand(options.healthCmd);
  const [kind = "NONE", ...words] = test;
  if (kind === "NONE" || words.length === 0) {
    if (options.healthStartupCmd !== undefined) {
      throw new InvalidArgumentError(
        "cannot set a startup healthcheck when there is no regular healthcheck: invalid argument",
      );
    }
    if (onFailure === "none") return undefined;
    throw new InvalidArgumentError(`cannot set on-failure action to ${onFailure} without a health check`);
  }
  const ms = (name: string, text: string | undefined, nanoseconds: number | undefined, standard: number) =>
    text === undefined ? Math.floor((nanoseconds ?? 0) / 1e6) || standard : parseMs(name, text);
  const { healthInterval, healthRetries } = options;
  const health: HealthConfig = {
    test,
    intervalMs: healthInterval === "disable" ? 0 : ms("interval", healthInterval, image?.Interval, 30_000),
    timeoutMs: ms("timeout", options.healthTimeout, image?.Timeout, 30_000),
    startPeriodMs: ms("start-period", options.healthStartPeriod, image?.StartPeriod, 0),
    startIntervalMs: ms("start-interval", options.healthStartInterval, image?.StartInterval, 5000),
    retries: healthRetries ?? (image?.Retries || 3),
    onFailure: onFailure as HealthAction,
    ...resolveStartup(options),
    ...resolveLog(options),
  };
  if (health.retries < 1) throw new InvalidArgumentError("healthcheck-retries must be greater than 0");
  // docker builds images whose checks have less, and runs them
  if (options.healthTimeout !== undefined) checkTimeout(health.timeoutMs);
  return health;
}

function checkTimeout(timeoutMs: number): void {
  if (timeoutMs < 1000) throw new InvalidArgumentError("healthcheck-timeout must be at least 1 second");
}

function resolveStartup(options: LifecycleOptions): { startup?: StartupHealthConfig } {
  const { healthStartupCmd, healthStartupInterval: interval = "30s" } = options;
  if (healthStartupCmd === undefined) return {};
  const test = parseHealthCommand(healthStartupCmd);
  if (test[0] === "NONE" || test.length < 2) return {};
  const startup: StartupHealthConfig = {
    test,
    intervalMs: interval === "disable" ? 0 : parseMs("interval", interval),
    timeoutMs: parseMs("timeout", options.healthStartupTimeout ?? "30s"),
    retries: options.healthStartupRetries ?? 0,
    successes: options.healthStartupSuccess ?? 0,
  };
  checkTimeout(startup.timeoutMs);
  return { startup };
}

function resolveLog(options: LifecycleOptions): { log?: HealthLogConfig } {
  const { healthLogDestination = "local", healthMaxLogCount = 5, healthMaxLogSize = 500 } = options;
  const log = { destination: healthLogDestination, maxCount: healthMaxLogCount, maxSize: healthMaxLogSize };
  if (log.destination === "local" || log.destination === "events_logger") {
    const isUsual = log.destination === "local" && log.maxCount === 5 && log.maxSize === 500;
    return isUsual ? {} : { log };
  }
  try {
    // the monitor has another working folder
    log.destination = Deno.realPathSync(log.destination);
  } catch (cause) {
    throw new InvalidArgumentError(
      `use health log destination "${log.destination}": ${(cause as Error).message}`,
      { cause },
    );
  }
  if (!Deno.statSync(log.destination).isDirectory) {
    throw new InvalidArgumentError(`use health log destination "${log.destination}": it is not a folder`);
  }
  return { log };
}

/** A command line for the shell; or a JSON list, with or without Docker's first word. */
function parseHealthCommand(text: string): string[] {
  if (text === "") throw new InvalidArgumentError("must define a healthcheck command for all healthchecks");
  let words: unknown;
  try {
    words = JSON.parse(text);
  } catch {
    words = undefined;
  }
  if (!Array.isArray(words) || !words.every((word) => typeof word === "string") || words.length === 0) {
    if (text.toUpperCase() === "NONE") return ["NONE"];
    const [first, ...rest] = text.split(/\s+/);
    if (first === "CMD") return ["CMD", ...rest];
    return ["CMD-SHELL", first === "CMD-SHELL" ? text.slice(first.length).trim() : text];
  }
  const kind = words[0]!.toUpperCase();
  if (kind === "CMD" || kind === "CMD-SHELL" || kind === "NONE") return [kind, ...words.slice(1)];
  return words.length > 1 ? ["CMD", ...words] : ["CMD-SHELL", words[0]!];
}

function parseMs(name: string, text: string): number {
  const ms = parseGoDuration(text);
  if (ms === undefined) {
    throw new InvalidArgumentError(`invalid healthcheck-${name}: "${text}" is not a duration`);
  }
  if (ms < 0) throw new InvalidArgumentError(`healthcheck-${name} must be 0 seconds or greater`);
  return ms;
}

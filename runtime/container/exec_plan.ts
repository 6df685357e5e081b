/** From a container's config and what is asked of an exec session to its plan. Pure. */

import type { ExecPlan, StateRecord } from "../monitor/plan.ts";
import { PROTOCOL_VERSION } from "../monitor/plan.ts";
import { resolveCapabilities } from "../security/capabilities.ts";
import type { SeccompFilter } from "../security/seccomp.ts";
import { InvalidArgumentError } from "../errors.ts";
import type { ContainerConfig } from "./config.ts";
import { apparmorOf } from "./security_options.ts";
import { cleanPath } from "./mount_options.ts";
import type { ExecOptions } from "./options.ts";
import { planCapabilities, planEvents } from "./plan.ts";

export interface ExecFacts {
  sessionId: string;
  sessionDir: string;
  eventsPath: string;
  runtimeDir: string;
  socketPath: string;
  /** Of the container's monitor. */
  state: Pick<StateRecord, "initPid" | "initStartTime">;
  seccomp?: SeccompFilter;
  isSingleId: boolean;
  lastCapability: number;
  callerNofile?: { soft: number; hard: number };
  /** The program starts when a first client has attached. */
  startOnAttach: boolean;
}

export function planExec(config: ContainerConfig, options: ExecOptions, facts: ExecFacts): ExecPlan {
  const tty = options.tty ?? false;
  const env = execEnv(config, options, tty);
  const capabilities = execCapabilities(config, options, facts.lastCapability);
  const rlimits = config.rlimits.some(({ type }) => type === "RLIMIT_NOFILE") || !facts.callerNofile
    ? config.rlimits
    : [...config.rlimits, { type: "RLIMIT_NOFILE", ...facts.callerNofile }];
  return {
    protocol: PROTOCOL_VERSION,
    sessionId: facts.sessionId,
    containerId: config.id,
    sessionDir: facts.sessionDir,
    runtimeDir: facts.runtimeDir,
    socketPath: facts.socketPath,
    initPid: facts.state.initPid,
    initStartTime: facts.state.initStartTime,
    process: {
      terminal: tty,
      ...(options.size && { consoleSize: { height: options.size.rows, width: options.size.cols } }),
      user: { uid: 0, gid: 0, umask: config.umask ?? 0o022 },
      args: options.command,
      env,
      cwd: execWorkdir(config, options),
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
        inheritable: [],
        ambient: [],
      },
      rlimits,
      noNewPrivileges: config.security.noNewPrivileges,
      ...(config.oomScoreAdj !== undefined && { oomScoreAdj: config.oomScoreAdj }),
      ...apparmorOf(config.security),
    },
    ...(config.personality && { personality: config.personality }),
    annex: {
      user: options.user ?? config.user,
      groupAdd: config.groupAdd,
      keepGroups: config.keepGroups,
      setHome: !env.some((word) => word.startsWith("HOME=")),
      seccompProgram: facts.seccomp?.program,
      seccompFlags: facts.seccomp?.flags,
      fakeOwnership: facts.isSingleId,
    },
    stdio: {
      tty,
      openStdin: options.interactive ?? false,
      stdinOnce: (options.interactive ?? false) && facts.startOnAttach,
      startOnAttach: facts.startOnAttach,
      size: options.size,
    },
    nestedUserns: config.userns !== "host",
    events: planEvents(config, facts.eventsPath),
  };
}

/** What the session's process may use: with `--privileged` all that there is. */
export function execCapabilities(
  config: ContainerConfig,
  options: ExecOptions,
  lastCapability: number,
): string[] {
  if (options.privileged) return resolveCapabilities({ privileged: true, lastCapability });
  return planCapabilities(config, lastCapability);
}

function execEnv(config: ContainerConfig, options: ExecOptions, tty: boolean): string[] {
  const merged = new Map<string, string>();
  const words = [...(tty ? ["TERM=xterm"] : []), ...config.env, ...(options.env ?? [])];
  for (const word of words) {
    const at = word.indexOf("=");
    if (at <= 0) throw new InvalidArgumentError(`set environment: invalid variable "${word}"`);
    merged.set(word.slice(0, at), word.slice(at + 1));
  }
  return Array.from(merged, ([key, value]) => `${key}=${value}`);
}

function execWorkdir(config: ContainerConfig, options: ExecOptions): string {
  if (options.workdir === undefined || options.workdir === "") return config.workdir;
  if (options.workdir.startsWith("/")) return cleanPath(options.workdir);
  throw new InvalidArgumentError(
    `set working directory "${options.workdir}": it needs to be an absolute path`,
  );
}

/** `update` of what looks after a container, and of its variables: for its later runs, and for the monitor of this one. */

import { MACHINE } from "../../ffi/arch.ts";
import { ECONNRESET, EPIPE, isErrno } from "../../ffi/errno.ts";
import type { ContainerConfig } from "../container/config.ts";
import { execCapabilities } from "../container/exec_plan.ts";
import { readLastCapability } from "../container/host_facts.ts";
import { updateLifecycle } from "../container/lifecycle_update.ts";
import type { LifecycleOptions } from "../container/options.ts";
import { type CheckFacts, planSupervision } from "../container/supervision_plan.ts";
import { ConflictError, InvalidArgumentError, SkiffError } from "../errors.ts";
import type { SupervisionPlan } from "../monitor/plan.ts";
import { changeSupervision } from "../monitor/change_supervision.ts";
import { seccompFilter } from "../security/seccomp.ts";
import { changeEnv, type EnvChange } from "../spec/environment.ts";
import { eventsPath } from "../state/events.ts";
import { monitorSocketPath } from "../state/folders.ts";
import { rememberSupervised } from "../state/supervised.ts";
import type { Engine } from "./engine.ts";
import { spawnKeeper } from "./keeper.ts";
import { callerNofile } from "./plan_facts.ts";

export interface LifecycleChange {
  lifecycle?: LifecycleOptions;
  env?: EnvChange;
}

/** The config with the change in it. @throws {InvalidArgumentError} */
export function changedConfig(config: ContainerConfig, { lifecycle, env }: LifecycleChange): ContainerConfig {
  const next = { ...config };
  if (env) {
    if (env.set.some((word) => word === "" || word.startsWith("="))) {
      throw new InvalidArgumentError("update container: a variable has no name");
    }
    if (env.set.some((word) => word.includes("\0"))) {
      throw new InvalidArgumentError("update container: a variable holds a zero byte");
    }
    next.env = changeEnv(config.env, env);
  }
  if (lifecycle) {
    next.lifecycle = updateLifecycle(config.lifecycle, lifecycle, config.autoRemove);
    if (next.lifecycle === undefined) delete next.lifecycle;
  }
  return next;
}

/**
 * Gives the monitor of a container that runs what is new of `next`. One that was started with nothing to look after cannot
 * do more than wait for the end: of a restart policy another process takes care then. Gives what is to be told.
 */
export async function tellMonitor(
  engine: Engine,
  before: ContainerConfig,
  next: ContainerConfig,
  { lifecycle, env }: LifecycleChange,
): Promise<string[]> {
  const plan = lifecycle && await planOf(engine, next);
  try {
    await changeSupervision(monitorSocketPath(engine.folders, next.id), { plan, env });
    return [];
  } catch (error) {
    // it has ended: what was changed is for its next start
    if (error instanceof ConflictError || isErrno(error, EPIPE, ECONNRESET)) return [];
    if (!(error instanceof SkiffError)) throw error;
  }
  const { restart, health } = next.lifecycle ?? {};
  if (lifecycle?.restart !== undefined && restart && !before.lifecycle?.restart) spawnKeeper(engine, next.id);
  const isCheckNew = health !== undefined &&
    JSON.stringify(health) !== JSON.stringify(before.lifecycle?.health);
  return isCheckNew
    ? [`health checks of container "${next.name}" begin with its next start: it was started without any`]
    : [];
}

async function planOf(
  engine: Engine,
  config: ContainerConfig,
): Promise<Pick<SupervisionPlan, "restart" | "health">> {
  const { lifecycle = {} } = config;
  const isSingleId = engine.namespaces.maps.isSingle;
  const lastCapability = readLastCapability();
  const isUnconfined = config.privileged && config.security.seccomp.kind === "default";
  const facts: CheckFacts = {
    runtimeDir: engine.folders.run,
    eventsPath: eventsPath(engine.folders),
    isSingleId,
    lastCapability,
    callerNofile: callerNofile(),
    seccomp: isUnconfined ? undefined : await seccompFilter({
      profile: config.security.seccomp,
      capabilities: execCapabilities(config, { command: [] }, lastCapability),
      fakeOwnership: isSingleId,
      machine: MACHINE,
      kernelRelease: Deno.osRelease(),
    }),
  };
  const { restart, health } = planSupervision(config, lifecycle, facts);
  for (const program of [health?.exec, health?.startup?.exec]) {
    if (!program || !config.secrets) continue;
    await (await import("./container_secrets.ts")).addSecretVariables(engine, config, program);
  }
  return { restart, health };
}

/** From here on starts look whether there is something to look after. */
export function rememberLifecycle(engine: Engine, { lifecycle }: ContainerConfig): void {
  if (lifecycle) rememberSupervised(engine.folders);
}

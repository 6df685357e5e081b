/** `exec`: one more program in a running container, with a small monitor of its own. */

import { MACHINE } from "../../ffi/arch.ts";
import { execCapabilities, planExec } from "../container/exec_plan.ts";
import { readLastCapability } from "../container/host_facts.ts";
import { setupError } from "../container/setup_error.ts";
import { ConflictError, InvalidArgumentError } from "../errors.ts";
import { readState } from "../monitor/records.ts";
import { seccompFilter } from "../security/seccomp.ts";
import { eventsPath, recordContainerEvent } from "../state/events.ts";
import { execSocketPath } from "../state/folders.ts";
import { randomId } from "../state/ids.ts";
import { loadConfig, observeRunning } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { removeEndedSessions } from "./exec_sessions.ts";
import type { ExecOptions } from "./options.ts";
import { callerNofile } from "./plan_facts.ts";
import type { StartOptions } from "./start.ts";

export interface ExecSession {
  /** 64 hex digits. */
  id: string;
  containerId: string;
  /** For `attachTo`. */
  socketPath: string;
}

/**
 * Starts a program in a running container. With `detach` it runs when this returns; else it waits for the caller
 * to attach to `socketPath`, who is told of what goes wrong.
 */
export async function exec(
  engine: Engine,
  text: string,
  options: ExecOptions,
  { preserveFds }: Pick<StartOptions, "preserveFds"> = {},
): Promise<ExecSession> {
  if (options.command.length === 0) {
    throw new InvalidArgumentError(`exec in container "${text}": no command given`);
  }
  if (options.envFiles && options.envFiles.length > 0) {
    const { readEnvFiles } = await import("./env_files.ts");
    options = { ...options, env: [...readEnvFiles(options.envFiles), ...(options.env ?? [])] };
  }
  const { row } = await observeRunning(engine, text, "exec in");
  const containerDir = engine.containerDir(row.id);
  const config = loadConfig(engine, row.id);
  const state = readState(containerDir);
  if (!state) throw new ConflictError(`exec in container "${text}": it is not running`);
  const isSingleId = engine.namespaces.maps.isSingle;
  const lastCapability = readLastCapability();
  const isUnconfined = config.privileged && config.security.seccomp.kind === "default";
  const [seccomp, { startExecMonitor }] = await Promise.all([
    isUnconfined ? undefined : seccompFilter({
      profile: config.security.seccomp,
      capabilities: execCapabilities(config, options, lastCapability),
      fakeOwnership: isSingleId,
      machine: MACHINE,
      kernelRelease: Deno.osRelease(),
    }),
    import("../container/start_exec.ts"),
  ]);
  const sessionId = randomId();
  const sessionDir = `${containerDir}/exec/${sessionId}`;
  Deno.mkdirSync(sessionDir, { recursive: true, mode: 0o700 });
  removeEndedSessions(containerDir);
  const plan = planExec(config, options, {
    sessionId,
    sessionDir,
    eventsPath: eventsPath(engine.folders),
    runtimeDir: engine.folders.run,
    socketPath: execSocketPath(engine.folders, sessionId),
    state,
    seccomp,
    isSingleId,
    lastCapability,
    callerNofile: callerNofile(),
    startOnAttach: !options.detach,
  });
  if (config.secrets) {
    await (await import("./container_secrets.ts")).addSecretVariables(engine, config, plan);
  }
  if (preserveFds) plan.passedFds = preserveFds;
  const { ready } = startExecMonitor(plan);
  recordContainerEvent(engine.folders, row, "exec", { execID: sessionId });
  const session = { id: sessionId, containerId: row.id, socketPath: plan.socketPath };
  if (options.detach) {
    const message = await ready;
    if (!message.ok) throw setupError(message.failure);
  } else ready.catch(() => {});
  return session;
}

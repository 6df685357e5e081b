/** `start`: gives a container a monitor, and that its processes. */

import { close } from "../../ffi/file.ts";
import type { ContainerConfig } from "../container/config.ts";
import { removeRecords, takeContainerLock } from "../container/folder.ts";
import { planContainer } from "../container/plan.ts";
import { observeContainers } from "../container/state.ts";
import type { BoundPort } from "../network/listeners.ts";
import type { MonitorPlan } from "../monitor/plan.ts";
import { setupError } from "../container/setup_error.ts";
import { NotFoundError, UnsupportedError } from "../errors.ts";
import { setContainerState } from "../state/containers.ts";
import { monitorSocketPath } from "../state/folders.ts";
import { findRow, loadConfig } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { gatherFacts } from "./plan_facts.ts";

export interface StartOptions {
  /**
   * The caller attaches at once, and the program starts with that; what goes wrong is told to the
   * attached client. Without it `start` returns when the program runs.
   */
  foreground?: boolean;
  /** Descriptors of this process that are passed on to the program, under their numbers (see preserved_fds.ts). */
  preserveFds?: number[];
  signal?: AbortSignal;
  /** @internal What is done while the monitor sets up; a failure ends the monitor. */
  meanwhile?: () => Promise<void>;
  /** @internal The sockets of its published ports; used up. */
  ports?: BoundPort[];
  /** @internal Changes the plan: what must not be in the container's config. */
  adjust?: (plan: MonitorPlan) => void;
}

export interface StartedContainer {
  id: string;
  name: string;
  /** Where its monitor listens. */
  socketPath: string;
  /** It ran before; nothing was done. */
  wasRunning: boolean;
  /** @internal A child of this process. */
  monitorPid?: number;
}

/** Starts a created or exited container; one that runs is left alone. */
export async function start(
  engine: Engine,
  text: string,
  options: StartOptions = {},
): Promise<StartedContainer> {
  const db = await engine.database();
  const row = findRow(db, text);
  const dir = engine.containerDir(row.id);
  const socketPath = monitorSocketPath(engine.folders, row.id);
  // records the end of a former run before its files go
  const [observed] = await observeContainers(db, engine.folders.containers, [row]);
  if (!observed || observed.status.status === "removing") throw new NotFoundError("container", text);
  const config = loadConfig(engine, row.id);
  for (const id of config.lifecycle?.requires ?? []) await start(engine, id, { signal: options.signal });
  using _joining = config.pod &&
    await (await import("./pods/infra.ts")).startInfra(engine, config.pod, options.signal);
  const lockFd = await takeContainerLock(dir, options.signal);
  if (lockFd === null) return { id: row.id, name: row.name, socketPath, wasRunning: true };
  const ports: BoundPort[] = [];
  try {
    if (config.ports) ports.push(...await (await import("./publish.ts")).bindPorts(engine, config));
    await db.transaction(() => {
      if (!setContainerState(db, row.id, "starting")) throw new NotFoundError("container", text);
    });
    removeRecords(dir);
  } catch (error) {
    for (const fd of [lockFd, ...ports.map(({ fd }) => fd)]) close(fd);
    throw error;
  }
  return await startHeld(engine, config, lockFd, { ...options, ports });
}

/** Starts a container whose lock the caller holds; its descriptor and those of the ports are used up. */
export async function startHeld(
  engine: Engine,
  config: ContainerConfig,
  lockFd: number,
  options: StartOptions,
): Promise<StartedContainer> {
  let plan;
  let forkMonitor;
  const { ports = [] } = options;
  try {
    [plan, { forkMonitor }] = await Promise.all([
      makePlan(engine, config, options.foreground ?? false),
      import("../container/start.ts"),
    ]);
    // before what must not be on a disk
    if (config.cdiDevices) await (await import("./cdi.ts")).injectDevices(engine, config, plan);
    if (config.secrets) await (await import("./container_secrets.ts")).addSecrets(engine, config, plan);
    if (options.preserveFds) plan.passedFds = options.preserveFds;
    if (ports.length > 0) plan.ports = ports.map(({ port }) => port);
    options.adjust?.(plan);
    options.signal?.throwIfAborted();
  } catch (error) {
    for (const fd of [lockFd, ...ports.map(({ fd }) => fd)]) close(fd);
    throw error;
  }
  const monitor = await forkMonitor(
    plan,
    engine.namespaces,
    lockFd,
    options.meanwhile,
    ports.map(({ fd }) => fd),
  );
  const started = { id: config.id, name: config.name, socketPath: plan.socketPath, wasRunning: false };
  if (options.foreground) {
    // the attached client hears of a failure; the pipe stays open so that the monitor sees this command live
    monitor.ready.catch(() => {});
    return { ...started, monitorPid: monitor.pid };
  }
  const message = await monitor.ready;
  if (!message.ok) throw setupError(message.failure);
  return started;
}

async function makePlan(
  engine: Engine,
  config: ContainerConfig,
  startOnAttach: boolean,
): Promise<MonitorPlan> {
  if (config.log.driver === "passthrough" && !config.log.allowsTerminal) refuseTerminal();
  const facts = await gatherFacts(engine, config, startOnAttach);
  const plan = planContainer(config, facts);
  if (config.log.driver === "journald") {
    plan.log = { ...plan.log, journal: (await import("./journal.ts")).journalPlanOf(engine, config) };
  }
  if (config.network.mode === "bridge") {
    const { leaseBridges } = await import("./network_memberships.ts");
    const { planBridges } = await import("../container/bridge_plan.ts");
    planBridges(plan, await leaseBridges(engine, config), engine.namespaces, engine.folders.data);
  }
  const notifySocket = Deno.env.get("NOTIFY_SOCKET");
  if (!config.lifecycle && !notifySocket) return plan;
  const { planNotify, planSupervision } = await import("../container/supervision_plan.ts");
  const { lifecycle = {} } = config;
  if (config.lifecycle) {
    plan.supervision = planSupervision(config, lifecycle, facts);
    plan.init.annex.monitorForksAgain = true;
  }
  if (notifySocket && lifecycle.sdnotify !== "ignore") planNotify(plan, notifySocket, lifecycle);
  return plan;
}

/** A container that has the caller's terminal can type on it (TIOCSTI), which the caller's shell then runs. */
function refuseTerminal(): void {
  if (![Deno.stdin, Deno.stdout, Deno.stderr].some((stream) => stream.isTerminal())) return;
  throw new UnsupportedError("the '--log-driver passthrough' option cannot be used on a TTY", {
    hint: "--log-driver passthrough-tty gives the container your terminal, on which it can type",
  });
}

/** `update`: changes what is published of a container and what looks after it, at once where it runs, and for later runs. */

import { close } from "../../ffi/file.ts";
import type { ContainerConfig } from "../container/config.ts";
import { takeContainerLock } from "../container/folder.ts";
import type { LifecycleOptions } from "../container/options.ts";
import { isLive, type Observed } from "../container/state.ts";
import { ConflictError, InvalidArgumentError, NotFoundError, UnsupportedError } from "../errors.ts";
import { changePorts, SOCKETS_A_CHANGE } from "../monitor/change_ports.ts";
import { isAtHostPort } from "../monitor/held_ports.ts";
import { anyAddresses, type BoundPort, closePorts } from "../network/listeners.ts";
import type { PublishedPort } from "../network/plan.ts";
import {
  arrangeMappings,
  isOpen,
  joinPorts,
  parsePublish,
  type PortMapping,
  spreadMapping,
} from "../network/ports.ts";
import { setContainerPorts, setContainerRestartPolicy } from "../state/containers.ts";
import { recordContainerEvent } from "../state/events.ts";
import { monitorSocketPath } from "../state/folders.ts";
import { takeLock } from "../state/locks.ts";
import { loadConfig, observe } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { bindPorts, bindsItself, canPublish, checkMode, choosePorts, publishesLive } from "./publish.ts";

export type { PortMapping } from "../network/ports.ts";

export interface UpdateOptions {
  /** Its restart policy and health checks; what is absent stays. */
  lifecycle?: UpdatedLifecycle;
  /** `KEY=value`, for the next start. */
  env?: string[];
  unsetEnv?: string[];
  /** As `-p`: `[ADDRESS:][HOST:]CONTAINER[/PROTOCOL]`. */
  publishAdd?: string[];
  /** In the same spelling; without a host port it is all that is published of the container's. */
  publishRm?: string[];
}

/** Of a container that exists, no more can be changed. */
export type UpdatedLifecycle = Omit<LifecycleOptions, "requires" | "sdnotify" | "timeoutSeconds">;

/** Makes the whole change or none of it. Returns the id, what is published now, and what is to be told. */
export async function update(
  engine: Engine,
  text: string,
  options: UpdateOptions,
): Promise<{ id: string; ports: PortMapping[]; warnings: string[] }> {
  const add = (options.publishAdd ?? []).map(parsePublish);
  const rm = (options.publishRm ?? []).map((wanted) => ({ wanted, mapping: parsePublish(wanted) }));
  // two changes at once would each keep the other's out of the config
  using _lock = await takeLock(`${engine.folders.locks}/update`);
  const { row } = await observe(engine, text);
  const before = loadConfig(engine, row.id);
  const change = {
    lifecycle: options.lifecycle,
    env: options.env || options.unsetEnv
      ? { set: options.env ?? [], unset: options.unsetEnv ?? [] }
      : undefined,
  };
  const others = change.lifecycle || change.env ? await import("./update_lifecycle.ts") : undefined;
  const config = others ? others.changedConfig(before, change) : before;
  const next = add.length + rm.length > 0
    ? { ...config, ports: await changePublished(engine, text, config, add, rm) }
    : config;
  if (others) others.rememberLifecycle(engine, next);
  const path = `${engine.containerDir(row.id)}/config.json`;
  Deno.writeTextFileSync(`${path}.tmp`, JSON.stringify(next), { mode: 0o600 });
  Deno.renameSync(`${path}.tmp`, path);
  const db = await engine.database();
  await db.transaction(() => {
    if (next.ports) {
      setContainerPorts(db, row.id, { published: next.ports, exposed: config.exposed ?? [] });
    }
    setContainerRestartPolicy(db, row.id, next.lifecycle?.restart?.policy ?? "no");
  });
  recordContainerEvent(engine.folders, row, "update");
  const isLiveNow = isLive((await observe(engine, row.id)).status.status);
  const warnings = others && isLiveNow ? await others.tellMonitor(engine, before, next, change) : [];
  return { id: row.id, ports: next.ports ?? [], warnings };
}

/** Gives what is published then. */
async function changePublished(
  engine: Engine,
  text: string,
  config: ContainerConfig,
  add: PortMapping[],
  rm: { wanted: string; mapping: PortMapping }[],
): Promise<PortMapping[]> {
  if (!canPublish(config)) {
    throw new UnsupportedError(
      `update container "${text}": with the network "${config.network.mode}" it has no ports of its own to publish`,
    );
  }
  checkMode(config, add, engine.namespaces.isRootless);
  const before = (config.ports ?? []).flatMap(spreadMapping);
  const gone = rm.flatMap(({ wanted, mapping }) => published(before, text, wanted, mapping));
  const kept = before.filter((port) => !gone.includes(port));
  const after = arrangeMappings([...joinPorts(kept), ...add]);
  const change = {
    gone,
    fixed: after.filter((one) => !isOpen(one)).flatMap(spreadMapping).filter((port) =>
      !kept.some((old) => same(old, port))
    ),
    open: after.filter(isOpen),
    kept,
  };
  return await perform(engine, config.id, config, change);
}

/** Of a container that runs or not. */
export async function publishedPorts(engine: Engine, text: string): Promise<PortMapping[]> {
  return (await observe(engine, text)).row.ports?.published ?? [];
}

interface Change {
  gone: PublishedPort[];
  /** New, at given ports of the host. */
  fixed: PublishedPort[];
  /** New, at ports that are still to be chosen. */
  open: PortMapping[];
  kept: PublishedPort[];
}

/** What of `before` a word of `--publish-rm` stands for. @throws {NotFoundError} where that is not published */
function published(
  before: readonly PublishedPort[],
  container: string,
  wanted: string,
  mapping: PortMapping,
): PublishedPort[] {
  return spreadMapping(mapping).flatMap((port) => {
    const found = before.filter((one) =>
      one.protocol === port.protocol && one.containerPort === port.containerPort &&
      (port.hostPort === 0 || one.hostPort === port.hostPort) &&
      (port.hostAddress === "" || one.hostAddress === port.hostAddress)
    );
    if (found.length > 0) return found;
    throw new NotFoundError("container", wanted, {
      message: `update container "${container}": it does not publish "${wanted}"`,
    });
  });
}

/** Gives what is published then. */
async function perform(
  engine: Engine,
  id: string,
  config: ContainerConfig,
  change: Change,
): Promise<PortMapping[]> {
  for (;;) {
    const { status } = await observe(engine, id);
    if (isLive(status.status)) return await changeLive(engine, id, config, change, status);
    const lock = await takeContainerLock(engine.containerDir(id));
    if (lock === null) continue; // started meanwhile
    try {
      const next = { ...config, ports: [...joinPorts([...change.kept, ...change.fixed]), ...change.open] };
      await choosePorts(engine, next);
      return next.ports;
    } finally {
      close(lock);
    }
  }
}

async function changeLive(
  engine: Engine,
  id: string,
  config: ContainerConfig,
  { gone, fixed, open, kept }: Change,
  { status }: Observed["status"],
): Promise<PortMapping[]> {
  if (status === "restarting" || status === "stopping") {
    throw new ConflictError(`update container "${config.name}": it is ${status}`);
  }
  if (!publishesLive(config)) {
    throw new UnsupportedError(
      `update container "${config.name}": ${config.network.mode} cannot change what it publishes while it runs`,
      { hint: "stop the container first" },
    );
  }
  // the monitor has the sockets of those, and gives them another end
  const moved = fixed.filter((port) => gone.some((old) => isAtHostPort(old, port)));
  const next = { ...config, ports: [...joinPorts(fixed.filter((port) => !moved.includes(port))), ...open] };
  const bound: BoundPort[] = await bindPorts(engine, next);
  try {
    if (bound.length > SOCKETS_A_CHANGE) {
      throw new InvalidArgumentError(
        `update container "${config.name}": ${bound.length} sockets are more than the ${SOCKETS_A_CHANGE} that can be added at once`,
      );
    }
    const request = bindsItself(config)
      ? { add: [...next.ports.flatMap(spreadMapping), ...moved], remove: gone }
      : boundChange(bound, moved, gone);
    await changePorts(monitorSocketPath(engine.folders, id), request, bound.map(({ fd }) => fd));
  } finally {
    closePorts(bound);
  }
  return joinPorts([...kept, ...moved, ...next.ports.flatMap(spreadMapping)]);
}

/** Those that take over come last: the sockets that are sent are in the order of the others. */
function boundChange(
  bound: readonly BoundPort[],
  moved: readonly PublishedPort[],
  gone: readonly PublishedPort[],
) {
  const any = anyAddresses();
  return {
    add: [...bound.map(({ port }) => port), ...moved.flatMap((port) => asBound(port, any))],
    remove: gone.flatMap((port) => asBound(port, ["0.0.0.0", "::"])),
  };
}

/** What has no address of its own is at each of `any`. */
function asBound(port: PublishedPort, any: readonly string[]): PublishedPort[] {
  return (port.hostAddress === "" ? any : [port.hostAddress]).map((hostAddress) => ({
    ...port,
    hostAddress,
  }));
}

function same(one: PublishedPort, other: PublishedPort): boolean {
  return isAtHostPort(one, other) && one.containerPort === other.containerPort;
}

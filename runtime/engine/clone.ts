/** `container clone`: another container with the same configuration. */

import { close } from "../../ffi/file.ts";
import type { ContainerConfig } from "../container/config.ts";
import { ConflictError } from "../errors.ts";
import { findContainerByName } from "../state/containers.ts";
import { checkName, randomId } from "../state/ids.ts";
import { timestamp } from "./clock.ts";
import { loadConfig, observe } from "./containers.ts";
import { type CreatedContainer, prepareResolved } from "./create.ts";
import type { Engine } from "./engine.ts";
import { type CreateHooks, resolveRoot } from "./root_source.ts";

export interface CloneOptions {
  /** By default the name of the original with `-clone` behind it. */
  name?: string;
  /** Another image to make it of; pulled where it is missing. */
  image?: string;
  /** Remove the original. */
  destroy?: boolean;
  /** With `destroy`: also where it runs. */
  force?: boolean;
  /** Start the clone. */
  run?: boolean;
  /** A pod to put the clone into. */
  pod?: string;
  /** @internal Changes what the clone's config says. */
  adapt?: (config: ContainerConfig) => void;
}

/** Named volumes are shared with the original, anonymous ones are made anew; nothing that it has written is copied. */
export async function clone(
  engine: Engine,
  text: string,
  options: CloneOptions = {},
  hooks: CreateHooks = {},
): Promise<CreatedContainer> {
  const { row, status } = await observe(engine, text);
  if (options.name !== undefined) checkName("container", options.name);
  if (options.destroy && !options.force && status.pid > 0) {
    throw new ConflictError(
      `remove container "${text}": it is running - running containers cannot be removed without force`,
    );
  }
  const db = await engine.database();
  const original = loadConfig(engine, row.id);
  const name = options.name ?? cloneName(row.name, (text) => findContainerByName(db, text) !== undefined);
  const config = { ...original, ...renewed(engine, original, name) };
  if (original.network.mode === "bridge") {
    // those that it is on now
    const { currentRequests } = await import("./network_memberships.ts");
    config.network = { mode: "bridge", networks: currentRequests(db, row.id) };
  }
  if (options.image !== undefined) {
    const source = await resolveRoot(engine, db, { image: options.image, command: [] }, hooks);
    Object.assign(config, { root: source.root, imageName: source.imageName });
  }
  if (options.pod !== undefined) await (await import("./pods/move.ts")).moveInto(engine, options.pod, config);
  options.adapt?.(config);
  const fill = original.secrets &&
    (await import("./container_secrets.ts")).copySecrets(original, engine.containerDir(original.id));
  const prepared = prepareResolved(engine, db, config, { fill });
  try {
    await prepared.record("created");
  } catch (error) {
    prepared.discard();
    throw error;
  } finally {
    close(prepared.lockFd);
  }
  if (options.destroy) {
    const { rm } = await import("./rm.ts");
    await rm(engine, row.id, { force: options.force });
  }
  if (options.run) {
    const { start } = await import("./start.ts");
    await start(engine, config.id);
  }
  return { id: config.id, name: config.name, warnings: [] };
}

/** What two containers cannot share. */
function renewed(engine: Engine, original: ContainerConfig, name: string): Partial<ContainerConfig> {
  const id = randomId();
  const oldDir = engine.containerDir(original.id);
  const isOwnHostname = original.hostname === original.id.slice(0, 12);
  const hostname = isOwnHostname ? id.slice(0, 12) : original.hostname;
  return {
    id,
    name,
    hostname,
    createdAt: timestamp(),
    env: original.env.map((word) =>
      isOwnHostname && word === `HOSTNAME=${original.hostname}` ? `HOSTNAME=${hostname}` : word
    ),
    log: { ...original.log, path: original.log.path.replace(oldDir, engine.containerDir(id)) },
    mounts: original.mounts.map((mount) =>
      mount.kind === "volume" && mount.anonymous ? { ...mount, name: randomId() } : mount
    ),
    cidfile: undefined,
    pidFile: undefined,
    conmonPidFile: undefined,
  };
}

/** `web-clone`, `web-clone1`, … as podman counts. */
export function cloneName(name: string, isTaken: (candidate: string) => boolean): string {
  for (let count = 0;; count++) {
    const candidate = `${name}-clone${count || ""}`;
    if (!isTaken(candidate)) return candidate;
  }
}

/** `network rm` and `network prune`. */

import { ConflictError, InvalidArgumentError, NotFoundError } from "../errors.ts";
import { deleteUnusedNetwork, listMembers, listNetworks } from "../state/networks.ts";
import { removeBridgeRemains } from "./bridge_change.ts";
import type { Engine } from "./engine.ts";
import {
  BUILT_IN,
  DEFAULT_NETWORK,
  findNetworkRow,
  type NetworkInfo,
  networks,
  recordNetworkEvent,
} from "./networks.ts";

export interface NetworkRmOptions {
  /** Remove the containers that are on it before, running or not; no error where there is none. */
  force?: boolean;
  /** With `force`: how long a container has to stop by itself. */
  timeoutSeconds?: number;
}

/**
 * Removes a network, and gives its name.
 *
 * @throws {NotFoundError} where there is none
 * @throws {ConflictError} where containers are on it
 */
export async function networkRm(
  engine: Engine,
  text: string,
  options: NetworkRmOptions = {},
): Promise<string> {
  const db = await engine.database();
  if (["host", "none"].includes(text)) {
    throw new InvalidArgumentError(`default network ${text} cannot be removed`);
  }
  const row = await findNetworkRow(db, text);
  if (row.name === DEFAULT_NETWORK) {
    throw new InvalidArgumentError(`default network ${text} cannot be removed`);
  }
  if (row.template !== undefined) {
    const made = listNetworks(db).find(({ madeFrom }) => madeFrom === row.name);
    if (made !== undefined) {
      throw new ConflictError(`configuration network "${row.name}" is in use by network ${made.name}`);
    }
  }
  const users = () => [...new Set(listMembers(db, row.id).map(({ containerId }) => containerId))];
  if (options.force && users().length > 0) {
    const { rm } = await import("./rm.ts");
    for (const id of users()) {
      await rm(engine, id, {
        force: true,
        ignore: true,
        depend: true,
        timeoutSeconds: options.timeoutSeconds,
      });
    }
  } else if (users().length > 0) await forgetVanished(engine, users());
  if (await db.transaction(() => deleteUnusedNetwork(db, row.id))) {
    recordNetworkEvent(engine, row, "remove");
    await removeBridgeRemains(engine);
    return row.name;
  }
  if (users().length === 0) throw new NotFoundError("network", text);
  throw new ConflictError(
    `"${row.name}" has associated containers with it. Use -f to forcibly delete containers and pods: network is being used`,
  );
}

/** Removes these networks, but for those that a container is on by now. Gives the names of what is gone. */
export async function removeUnusedNetworks(engine: Engine, names: readonly string[]): Promise<string[]> {
  const removed: string[] = [];
  for (const name of names) {
    try {
      removed.push(await networkRm(engine, name));
    } catch (error) {
      if (!(error instanceof ConflictError || error instanceof NotFoundError)) throw error;
    }
  }
  return removed;
}

/** Removes the networks of the user's that no container is on. Gives their names. */
export async function networkPrune(engine: Engine): Promise<string[]> {
  return await removeUnusedNetworks(engine, unusedNetworks(await networks(engine)).map(({ Name }) => Name));
}

/** Those that nobody is on though somebody could be, and that somebody has made. */
export function unusedNetworks(all: readonly NetworkInfo[]): NetworkInfo[] {
  return all.filter(({ Name, Users, ConfigOnly }) =>
    Users.length === 0 && !ConfigOnly && !BUILT_IN.includes(Name)
  );
}

/** A container of `--rm` whose monitor has removed it still has a row. */
async function forgetVanished(engine: Engine, ids: readonly string[]): Promise<void> {
  const db = await engine.database();
  const [{ observeContainers }, { findContainer }] = await Promise.all([
    import("../container/state.ts"),
    import("../state/containers.ts"),
  ]);
  await observeContainers(db, engine.folders.containers, ids.flatMap((id) => findContainer(db, id) ?? []), {
    checkFolders: true,
  });
}

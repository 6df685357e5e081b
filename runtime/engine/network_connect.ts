/** `network connect|disconnect|reload`: networks of a container that is there, running or not. */

import { ownOptions, withAliases } from "../container/network_attachments.ts";
import { isLive, observeContainers } from "../container/state.ts";
import { ConflictError, NotFoundError, UnsupportedError } from "../errors.ts";
import type { BridgePlan, InterfaceAddress, NetworkAttachment } from "../network/plan.ts";
import { type ContainerRow, findContainer } from "../state/containers.ts";
import type { Database } from "../state/db.ts";
import {
  deleteMembership,
  findNetwork,
  listLeasesOfContainer,
  listMemberships,
  type Membership,
  type NetworkRow,
  putMembership,
} from "../state/networks.ts";
import { contains, parseAddress, parseSubnet } from "../network/ip.ts";

import { changeBridge } from "./bridge_change.ts";
import { findRow, loadConfig } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { checkRequest, leaseAddresses, settleHolders } from "./network_leases.ts";
import { attach, withDefaultRoutes } from "./network_memberships.ts";
import { writeNetworkFiles } from "./network_files.ts";
import { findNetworkRow, findNetworkToJoin, nameInterfaces, recordNetworkEvent } from "./networks.ts";

export interface NetworkConnectOptions {
  ip?: string;
  ip6?: string;
  macAddress?: string;
  aliases?: string[];
}

/** How long a container that is just starting is waited for. */
const START_MS = 10_000;

/** Puts a container on one more network; one that runs has its interface when this returns. */
export async function networkConnect(
  engine: Engine,
  networkText: string,
  containerText: string,
  options: NetworkConnectOptions = {},
): Promise<void> {
  const own = ownOptions(options);
  const db = await engine.database();
  const { row, isRunning } = await settled(engine, db, containerText);
  const network = await findNetworkToJoin(db, networkText);
  checkMode(engine, row, network);
  const others = listMemberships(db, row.id).flatMap(({ networkId }) => findNetwork(db, networkId) ?? []);
  for (const other of others) checkMode(engine, row, other);
  const request = withAliases({ network: network.name, ...own }, options.aliases ?? []);
  checkRequest(network, request);
  if (isRunning) await settleHolders(engine, db, network.id);
  const member = await db.transaction(() => {
    const members = listMemberships(db, row.id);
    if (findContainer(db, row.id) === undefined || findNetwork(db, network.id) === undefined) {
      throw new NotFoundError("container", containerText);
    }
    const position = Math.max(-1, ...members.map((one) => one.position)) + 1;
    const named = nameInterfaces([...members.map((one) => one.request), request], [network]).at(-1)!;
    const added: Membership = { containerId: row.id, networkId: network.id, position, request: named };
    if (!putMembership(db, added)) {
      throw new ConflictError(
        `container ${row.id} is already connected to network "${network.name}": network is already connected`,
      );
    }
    if (isRunning) leaseAddresses(db, network, row.id, named);
    return added;
  });
  if (isRunning) {
    const { attachments, name } = currentPlan(db, row);
    const attachment = attachments.find((one) => one.network.id === network.id)!;
    try {
      await changeBridge(engine, { kind: "connect", containerId: row.id, containerName: name, attachment }, [
        row,
      ]);
    } catch (error) {
      await db.transaction(() => deleteMembership(db, row.id, member.networkId));
      throw error;
    }
    writeNetworkFiles(engine, loadConfig(engine, row.id), attachments);
  }
  recordNetworkEvent(engine, network, "connect", { container: row.id });
}

/** Takes a container from a network. `force`: also where its interface cannot be taken away. */
export async function networkDisconnect(
  engine: Engine,
  networkText: string,
  containerText: string,
  { force = false }: { force?: boolean } = {},
): Promise<void> {
  const db = await engine.database();
  const { row, isRunning } = await settled(engine, db, containerText);
  const network = await findNetworkRow(db, networkText);
  checkMode(engine, row, network);
  if (!listMemberships(db, row.id).some(({ networkId }) => networkId === network.id)) {
    throw new ConflictError(
      `container ${row.id} is not connected to network "${network.name}": network is not connected`,
    );
  }
  if (isRunning) {
    try {
      await changeBridge(engine, { kind: "disconnect", containerId: row.id, networkId: network.id }, [row]);
    } catch (error) {
      if (!force) throw error;
    }
  }
  await db.transaction(() => deleteMembership(db, row.id, network.id));
  if (isRunning) writeNetworkFiles(engine, loadConfig(engine, row.id), currentPlan(db, row).attachments);
  recordNetworkEvent(engine, network, "disconnect", { container: row.id });
}

/** Makes the interfaces, routes and names of a running container again as they are to be. Gives its id. */
export async function networkReload(engine: Engine, containerText: string): Promise<string> {
  const db = await engine.database();
  const { row, isRunning } = await settled(engine, db, containerText);
  if (!isRunning) {
    throw new ConflictError(
      `cannot reload network: container ${row.id} is not running: container state improper`,
    );
  }
  if (row.network !== "bridge") return row.id;
  const plan = currentPlan(db, row);
  await changeBridge(engine, { kind: "reload", plan }, [row]);
  writeNetworkFiles(engine, loadConfig(engine, row.id), plan.attachments);
  return row.id;
}

/** The networks of a running container with the addresses that it has. */
export function currentPlan(db: Database, row: ContainerRow): BridgePlan {
  const leases = listLeasesOfContainer(db, row.id);
  const attachments = listMemberships(db, row.id).map((member): NetworkAttachment => {
    const network = findNetwork(db, member.networkId)!;
    const addresses = leases.filter(({ networkId }) => networkId === network.id).map(({ address }) =>
      address
    );
    return attach(row, network, member, inSubnets(network, addresses));
  });
  return { id: row.id, name: row.name, attachments: withDefaultRoutes(attachments) };
}

/** In the order of the network's subnets. */
function inSubnets(network: NetworkRow, addresses: readonly string[]): InterfaceAddress[] {
  return network.subnets.flatMap((pool) => {
    const subnet = parseSubnet(pool.subnet)!;
    const address = addresses.find((one) => contains(subnet, parseAddress(one)!));
    return address === undefined ? [] : [{ address, prefix: subnet.prefix }];
  });
}

/** As it is once no start or end of it is under way. */
async function settled(
  engine: Engine,
  db: Database,
  text: string,
): Promise<{ row: ContainerRow; isRunning: boolean }> {
  const deadline = Date.now() + START_MS;
  for (;;) {
    const row = findRow(db, text);
    const [observed] = await observeContainers(db, engine.folders.containers, [row]);
    if (observed === undefined) {
      throw new NotFoundError("container", text, {
        message: `no container with name or ID "${text}" found: no such container`,
      });
    }
    const now = findContainer(db, row.id);
    if (isLive(observed.status.status)) return { row, isRunning: true };
    if (now !== undefined && now.state !== "starting") return { row: now, isRunning: false };
    if (Date.now() > deadline) {
      throw new ConflictError(`change networks of container ${row.id.slice(0, 12)}: it is still starting`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** @throws {ConflictError} where the container's network is no bridge */
function checkMode(engine: Engine, row: ContainerRow, network: NetworkRow): void {
  const { mode } = loadConfig(engine, row.id).network;
  if (mode !== "bridge") {
    throw new ConflictError(`"${mode}" is not supported: invalid network mode`, {
      hint: `only containers that were created with --network bridge, or --network NAME, can change networks`,
    });
  }
  if (network.driver !== "bridge") {
    throw new UnsupportedError(
      `change networks of container ${row.name}: ${network.name} has driver ${network.driver}, whose networks are chosen at create`,
    );
  }
}

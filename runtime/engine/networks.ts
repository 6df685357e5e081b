/** `network create|ls|inspect|exists`: what networks there are, and who is on them. */

import { ConflictError, NotFoundError } from "../errors.ts";
import { freeSubnet, macOf } from "../network/allocation.ts";
import {
  contains,
  formatAddress,
  formatSubnet,
  hostRange,
  overlap,
  parseAddress,
  parseSubnet,
} from "../network/ip.ts";
import { findContainer } from "../state/containers.ts";
import type { Database } from "../state/db.ts";
import { recordEvent } from "../state/events.ts";
import { isIdPrefix, randomId } from "../state/ids.ts";
import {
  findNetwork,
  findNetworkByName,
  insertNetwork,
  listLeases,
  listMembers,
  listNetworks,
  type Membership,
  type NetworkRow,
} from "../state/networks.ts";
import { timestamp, ZERO_TIME } from "./clock.ts";
import type { Engine } from "./engine.ts";
import { type HostSubnets, readHostSubnets } from "./host_subnets.ts";
import { settleHolders } from "./network_leases.ts";
import { networkDefaults } from "./network_defaults.ts";
import { INTERFACE_PREFIX } from "./network_driver_options.ts";
import { type NetworkCreateOptions, type NetworkWorld, planNetwork } from "./network_options.ts";

export type { NetworkCreateOptions } from "./network_options.ts";

/** A network as podman's `network inspect` describes it, in the names of its templates. */
export interface NetworkInfo {
  Name: string;
  ID: string;
  Driver: string;
  NetworkInterface: string;
  Created: string;
  Subnets: {
    Subnet: string;
    Gateway?: string;
    LeaseRange?: { StartIP: string; EndIP: string };
    /** By the names of others that have them. */
    AuxiliaryAddresses?: Record<string, string>;
  }[];
  Routes: { Destination: string; Gateway: string; Metric?: number }[];
  IPv6Enabled: boolean;
  Internal: boolean;
  DNSEnabled: boolean;
  NetworkDNSServers: string[];
  Labels: Record<string, string>;
  Options: Record<string, string>;
  IPAMOptions: Record<string, string>;
  /** Nobody can be on it: others are made from it. */
  ConfigOnly: boolean;
  /** The network that it was made from; empty where it was not. */
  ConfigFrom: string;
  /** Those that run, by id. */
  Containers: Record<string, NetworkMember>;
  /** Ids of all containers that are on it, running or not. */
  Users: string[];
}

export interface NetworkMember {
  Name: string;
  /** By name of the interface in the container. */
  Interfaces: Record<string, { Subnets: { IPNet: string; Gateway?: string }[]; MacAddress: string }>;
}

/** What every user has from the start: Podman calls it podman, Docker bridge. */
export const DEFAULT_NETWORK = "bridge";
/** What nobody has made, and nobody removes. */
export const BUILT_IN: readonly string[] = [DEFAULT_NETWORK, "host", "none"];
/** Podman's: the same on every machine. */
const DEFAULT_ID = "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9";
const DEFAULT_SUBNET = "10.88.0.0/16";

/** Modes that are no networks of anybody's, and are listed with them, as by Docker. */
const FIXED: readonly NetworkInfo[] = ([
  // the SHA-256 of the names, as podman's
  ["host", "host", "4740ae6347b0172c01254ff55bae5aff5199f4446e7f6d643d40185b3f475145"],
  ["none", "null", "140bedbf9c3f6d56a9846d2ba7088798683f4da0c248231336e6a05679e4fdfe"],
] as const).map(([name, driver, id]) => ({
  Name: name,
  ID: id,
  Driver: driver,
  NetworkInterface: "",
  Created: ZERO_TIME,
  Subnets: [],
  Routes: [],
  IPv6Enabled: false,
  Internal: false,
  DNSEnabled: false,
  NetworkDNSServers: [],
  Labels: {},
  Options: {},
  IPAMOptions: { driver: "none" },
  ConfigOnly: false,
  ConfigFrom: "",
  Containers: {},
  Users: [],
}));

/** Makes a network; without a name it is called as its bridge. Gives the name. */
export async function networkCreate(
  engine: Engine,
  name: string | undefined,
  options: NetworkCreateOptions = {},
): Promise<string> {
  const db = await engine.database();
  const isRoot = !engine.namespaces.isRootless;
  const host = readHostSubnets();
  await makeDefault(db, host);
  const { pools } = await networkDefaults();
  const template = options.configOnly || options.configFrom !== undefined
    ? await templatePlanner(name, options)
    : undefined;
  const { row, isNew } = await db.transaction(() => {
    const others = listNetworks(db);
    const former = others.find((network) => network.name === name);
    if (former !== undefined) {
      if (options.ignore) return { row: former, isNew: false };
      throw new ConflictError(`network name ${name} already used: network already exists`);
    }
    const world: NetworkWorld = {
      id: randomId(),
      createdAt: timestamp(),
      isRoot,
      others,
      pools,
      ...host,
      hasInterface,
      random: (count) => crypto.getRandomValues(new Uint8Array(count)),
    };
    const row = template ? template(others, world) : planNetwork(name, options, world);
    insertNetwork(db, row);
    return { row, isNew: true };
  });
  if (isNew) recordNetworkEvent(engine, row, "create");
  return row.name;
}

/** Makes a network that others are made from, or one of those. */
async function templatePlanner(
  name: string | undefined,
  options: NetworkCreateOptions,
): Promise<(others: readonly NetworkRow[], world: NetworkWorld) => NetworkRow> {
  const { planTemplate, withTemplate } = await import("./network_template.ts");
  return (others, world) => {
    if (options.configOnly) return planTemplate(name, options, world);
    const { configFrom: text } = options;
    const from = others.find((network) => network.name === text || network.id === text);
    if (from === undefined) {
      throw new NotFoundError("network", text!, {
        message: `unable to find network with name or ID ${text}: network not found`,
      });
    }
    return { ...planNetwork(name, withTemplate(options, from), world), madeFrom: from.name };
  };
}

/** By name: those of the user, and host and none. */
export async function networks(engine: Engine): Promise<NetworkInfo[]> {
  const db = await engine.database();
  await makeDefault(db);
  const own = await Promise.all(listNetworks(db).map((row) => describe(engine, db, row)));
  return [...own, ...FIXED].sort((a, b) => a.Name < b.Name ? -1 : 1);
}

/** By name, id or the beginning of one. @throws {NotFoundError} */
export async function networkInspect(engine: Engine, text: string): Promise<NetworkInfo> {
  const fixed = FIXED.find(({ Name }) => Name === text);
  if (fixed !== undefined) return fixed;
  const db = await engine.database();
  return await describe(engine, db, await findNetworkRow(db, text));
}

export async function networkExists(engine: Engine, text: string): Promise<boolean> {
  try {
    await networkInspect(engine, text);
    return true;
  } catch (error) {
    if (error instanceof NotFoundError) return false;
    throw error;
  }
}

/** The network that a text means. @throws {NotFoundError} */
export async function findNetworkRow(db: Database, text: string): Promise<NetworkRow> {
  if (text === DEFAULT_NETWORK || text === "podman") return await makeDefault(db);
  const row = findNetworkByName(db, text);
  if (row !== undefined) return row;
  const found = isIdPrefix(text) ? listNetworks(db).filter(({ id }) => id.startsWith(text)) : [];
  if (found.length > 1) {
    throw new ConflictError(`more than one result for network name or ID ${text}: network is ambiguous`);
  }
  if (found[0] !== undefined) return found[0];
  throw new NotFoundError("network", text, {
    message: `unable to find network with name or ID ${text}: network not found`,
  });
}

/** The network that a text means, for a container. @throws {NotFoundError} */
export async function findNetworkToJoin(db: Database, text: string): Promise<NetworkRow> {
  const row = await findNetworkRow(db, text);
  if (row.template === undefined) return row;
  throw new ConflictError(
    `join network ${row.name}: it is a configuration network, which others are made from`,
  );
}

export function recordNetworkEvent(
  engine: Engine,
  { id, name, driver }: NetworkRow,
  action: string,
  attributes: Record<string, string> = {},
): void {
  const all = { ...attributes, name, type: driver };
  recordEvent(engine.folders, { type: "network", action, id, name, attributes: all });
}

/**
 * The name of the interface in the container of each of its networks, where nobody has chosen it.
 *
 * @param rows networks that may have a prefix of their own for it
 */
export function nameInterfaces<T extends { network: string; interface?: string }>(
  requests: readonly T[],
  rows: readonly NetworkRow[] = [],
): (T & { interface: string })[] {
  const taken = new Set(requests.flatMap((request) => request.interface ?? []));
  return requests.map((request) => {
    if (request.interface !== undefined) return { ...request, interface: request.interface };
    const prefix = rows.find(({ name }) => name === request.network)?.options[INTERFACE_PREFIX] ?? "eth";
    let number = 0;
    while (taken.has(`${prefix}${number}`)) number++;
    taken.add(`${prefix}${number}`);
    return { ...request, interface: `${prefix}${number}` };
  });
}

/** The MAC address of a container on a network, by its first address there. */
export function macFor({ request }: Pick<Membership, "request">, addresses: readonly string[]): string {
  if (request.mac !== undefined) return request.mac;
  const address = addresses[0] === undefined ? undefined : parseAddress(addresses[0]);
  return address === undefined ? "" : macOf(address);
}

/** The row of the default network, made where there is none yet. */
export async function makeDefault(db: Database, host?: HostSubnets): Promise<NetworkRow> {
  const former = findNetwork(db, DEFAULT_ID);
  if (former !== undefined) return former;
  const { own, far } = host ?? readHostSubnets();
  const { subnet: chosen, pools } = await networkDefaults();
  return await db.transaction(() => {
    const made = findNetwork(db, DEFAULT_ID);
    if (made !== undefined) return made;
    const used = listNetworks(db).flatMap(({ subnets }) => subnets).map(({ subnet }) => parseSubnet(subnet)!);
    const usual = chosen ?? parseSubnet(DEFAULT_SUBNET)!;
    const isFree = ![...used, ...own].some((other) => overlap(other, usual));
    const subnet = isFree
      ? usual
      : freeSubnet([...used, ...own, ...far], pools) ?? freeSubnet([...used, ...own], pools) ?? usual;
    const gateway = formatAddress({ version: 4, value: hostRange(subnet).first });
    const row: NetworkRow = {
      id: DEFAULT_ID,
      name: DEFAULT_NETWORK,
      driver: "bridge",
      interface: "skiff0",
      createdAt: timestamp(),
      subnets: [{ subnet: formatSubnet(subnet), gateway }],
      ipv6: false,
      internal: false,
      dns: false,
      nameservers: [],
      routes: [],
      labels: {},
      options: {},
      ipam: "host-local",
    };
    insertNetwork(db, row);
    return row;
  });
}

function hasInterface(name: string): boolean {
  // /sys may be that of another network namespace
  return Deno.readTextFileSync("/proc/net/dev").split("\n").some((line) =>
    line.trimStart().startsWith(`${name}:`)
  );
}

async function describe(engine: Engine, db: Database, row: NetworkRow): Promise<NetworkInfo> {
  await settleHolders(engine, db, row.id);
  const leases = listLeases(db, row.id).filter(({ isLive }) => isLive);
  const members = listMembers(db, row.id);
  const containers = members.flatMap((member) => {
    const addresses = leases.filter(({ containerId }) => containerId === member.containerId)
      .map(({ address }) => address);
    const container = findContainer(db, member.containerId);
    return container?.state === "starting" && addresses.length > 0
      ? [[member.containerId, memberOf(row, member, container.name, addresses)] as const]
      : [];
  });
  return {
    Name: row.name,
    ID: row.id,
    Driver: row.template === undefined ? row.driver : "null",
    NetworkInterface: row.interface,
    Created: row.createdAt,
    Subnets: (row.template?.subnets ?? row.subnets).map((
      { subnet, gateway, leaseRange, reserved },
    ) => ({
      Subnet: subnet,
      ...(gateway !== undefined && { Gateway: gateway }),
      ...(leaseRange && { LeaseRange: { StartIP: leaseRange.start, EndIP: leaseRange.end } }),
      ...(reserved && { AuxiliaryAddresses: reserved }),
    })),
    Routes: row.routes.map(({ destination, gateway, metric }) => ({
      Destination: destination,
      Gateway: gateway,
      ...(metric !== undefined && { Metric: metric }),
    })),
    IPv6Enabled: row.ipv6,
    Internal: row.internal,
    DNSEnabled: row.dns,
    NetworkDNSServers: row.nameservers,
    Labels: row.labels,
    Options: row.options,
    IPAMOptions: { driver: row.ipam },
    ConfigOnly: row.template !== undefined,
    ConfigFrom: row.madeFrom ?? "",
    Containers: Object.fromEntries(containers),
    Users: members.map(({ containerId }) => containerId),
  };
}

function memberOf(row: NetworkRow, member: Membership, name: string, addresses: string[]): NetworkMember {
  const inOrder = row.subnets.flatMap((pool) => {
    const subnet = parseSubnet(pool.subnet)!;
    const address = addresses.find((one) => contains(subnet, parseAddress(one)!));
    return address === undefined ? [] : [{ address, prefix: subnet.prefix, gateway: pool.gateway }];
  });
  return {
    Name: name,
    Interfaces: {
      [member.request.interface ?? "eth0"]: {
        Subnets: inOrder.map(({ address, prefix, gateway }) => ({
          IPNet: `${address}/${prefix}`,
          ...(gateway !== undefined && { Gateway: gateway }),
        })),
        MacAddress: macFor(member, inOrder.map(({ address }) => address)),
      },
    },
  };
}

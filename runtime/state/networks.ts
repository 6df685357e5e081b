/**
 * Tables of networks, of the containers that are on them, and of the addresses that these have.
 *
 * A lease counts for as long as its container runs (its row says `starting`): the addresses of containers that have
 * ended stay theirs until somebody else needs them, and go with the row. So nothing has to be given back by a monitor,
 * which never opens the database, and nothing is lost where one is killed.
 */

import type { Database, Row } from "./db.ts";

export type NetworkDriver = "bridge" | "macvlan" | "ipvlan";

export interface NetworkSubnet {
  /** `10.89.0.0/24`. */
  subnet: string;
  gateway?: string;
  leaseRange?: { start: string; end: string };
  /** `--aux-address`: by the name of who has it, outside of skiff. */
  reserved?: Record<string, string>;
}

export interface NetworkRow {
  /** 64 hex digits. */
  id: string;
  name: string;
  driver: NetworkDriver;
  /** Of the bridge; with macvlan and ipvlan the parent on the host. */
  interface: string;
  createdAt: string;
  subnets: NetworkSubnet[];
  ipv6: boolean;
  internal: boolean;
  /** Names of containers are resolved. */
  dns: boolean;
  nameservers: string[];
  routes: { destination: string; gateway: string; metric?: number }[];
  labels: Record<string, string>;
  options: Record<string, string>;
  /** Who gives addresses: skiff, or nobody. */
  ipam: "host-local" | "none";
  /** Of a network that nobody can be on: options of `network create` that others are made with, and their subnets. */
  template?: { options: Record<string, unknown>; subnets: NetworkSubnet[] };
  /** The name of the one that it was made from. */
  madeFrom?: string;
}

/** What a container asks of a network that it is on. */
export interface NetworkRequest {
  /** Its name. */
  network: string;
  ip?: string;
  ip6?: string;
  mac?: string;
  aliases?: string[];
  /** In the container; `eth0`, `eth1`, … by default. */
  interface?: string;
  /** The other end of a veth pair. */
  hostInterface?: string;
}

/** A container's place on a network, whether it runs or not. */
export interface Membership {
  containerId: string;
  networkId: string;
  position: number;
  request: NetworkRequest;
}

export interface Lease {
  networkId: string;
  address: string;
  containerId: string;
}

export function insertNetwork(db: Database, network: NetworkRow): void {
  db.run(
    "INSERT INTO networks (id, name, interface, created_at, document) VALUES (?, ?, ?, ?, ?)",
    network.id,
    network.name,
    network.interface,
    network.createdAt,
    JSON.stringify(network),
  );
}

export function updateNetwork(db: Database, network: NetworkRow): boolean {
  return db.run("UPDATE networks SET document = ? WHERE id = ?", JSON.stringify(network), network.id) > 0;
}

/** Removes a network that no container is on; whether it is gone. */
export function deleteUnusedNetwork(db: Database, id: string): boolean {
  return db.run(
    "DELETE FROM networks WHERE id = ? AND NOT EXISTS (SELECT 1 FROM container_networks WHERE network_id = ?)",
    id,
    id,
  ) > 0;
}

export function findNetwork(db: Database, id: string): NetworkRow | undefined {
  const row = db.get("SELECT document FROM networks WHERE id = ?", id);
  return row && toNetwork(row);
}

export function findNetworkByName(db: Database, name: string): NetworkRow | undefined {
  const row = db.get("SELECT document FROM networks WHERE name = ?", name);
  return row && toNetwork(row);
}

/** By name. */
export function listNetworks(db: Database): NetworkRow[] {
  return db.all("SELECT document FROM networks ORDER BY name").map(toNetwork);
}

/** The addresses handed out last, by subnet. */
export function readCursors(db: Database, networkId: string): Record<string, string> {
  return JSON.parse(String(db.get("SELECT cursors FROM networks WHERE id = ?", networkId)?.cursors ?? "{}"));
}

export function writeCursors(db: Database, networkId: string, cursors: Record<string, string>): void {
  db.run("UPDATE networks SET cursors = ? WHERE id = ?", JSON.stringify(cursors), networkId);
}

export function putMembership(
  db: Database,
  { containerId, networkId, position, request }: Membership,
): boolean {
  return db.run(
    "INSERT OR IGNORE INTO container_networks (container_id, network_id, position, request) VALUES (?, ?, ?, ?)",
    containerId,
    networkId,
    position,
    JSON.stringify(request),
  ) > 0;
}

/** Takes the container from the network, with its addresses; whether it was on it. */
export function deleteMembership(db: Database, containerId: string, networkId: string): boolean {
  db.run("DELETE FROM network_leases WHERE container_id = ? AND network_id = ?", containerId, networkId);
  return db.run(
    "DELETE FROM container_networks WHERE container_id = ? AND network_id = ?",
    containerId,
    networkId,
  ) > 0;
}

/** In the order of the interfaces. */
export function listMemberships(db: Database, containerId: string): Membership[] {
  const sql = "SELECT * FROM container_networks WHERE container_id = ? ORDER BY position";
  return db.all(sql, containerId).map(toMembership);
}

export function listMembers(db: Database, networkId: string): Membership[] {
  const sql = "SELECT * FROM container_networks WHERE network_id = ? ORDER BY container_id";
  return db.all(sql, networkId).map(toMembership);
}

/** Names of networks by container. */
export function networkNamesByContainer(db: Database): Map<string, string[]> {
  const names = new Map<string, string[]>();
  const sql = `SELECT container_id, name FROM container_networks JOIN networks ON networks.id = network_id
     ORDER BY container_id, position`;
  for (const { container_id, name } of db.all(sql)) {
    const id = String(container_id);
    names.set(id, [...names.get(id) ?? [], String(name)]);
  }
  return names;
}

export function listLeases(db: Database, networkId: string): (Lease & { isLive: boolean })[] {
  return db.all(
    `SELECT network_leases.*, containers.state FROM network_leases JOIN containers ON containers.id = container_id
     WHERE network_id = ?`,
    networkId,
  ).map((row) => ({ ...toLease(row), isLive: row.state === "starting" }));
}

export function listLeasesOfContainer(db: Database, containerId: string): Lease[] {
  return db.all("SELECT * FROM network_leases WHERE container_id = ?", containerId).map(toLease);
}

/** To be called in the transaction that has found the address to be free, or its holder to have ended. */
export function putLease(db: Database, { networkId, address, containerId }: Lease): void {
  db.run(
    "INSERT OR REPLACE INTO network_leases (network_id, address, container_id) VALUES (?, ?, ?)",
    networkId,
    address,
    containerId,
  );
}

export function deleteLease(db: Database, { networkId, address, containerId }: Lease): void {
  db.run(
    "DELETE FROM network_leases WHERE network_id = ? AND address = ? AND container_id = ?",
    networkId,
    address,
    containerId,
  );
}

function toNetwork(row: Row): NetworkRow {
  return JSON.parse(String(row.document));
}

function toMembership(row: Row): Membership {
  return {
    containerId: String(row.container_id),
    networkId: String(row.network_id),
    position: Number(row.position),
    request: JSON.parse(String(row.request)),
  };
}

function toLease(row: Row): Lease {
  return {
    networkId: String(row.network_id),
    address: String(row.address),
    containerId: String(row.container_id),
  };
}

/**
 * A container's networks, from `create` on: what was asked for becomes rows, and at each start a plan with the
 * addresses that it has this time. Loaded where a container has networks.
 */

import { parseAttachments } from "../container/network_attachments.ts";
import type { ContainerConfig } from "../container/config.ts";
import type { AttachmentOptions } from "../container/network_choice.ts";
import { HostError, InvalidArgumentError, NotFoundError, UnsupportedError } from "../errors.ts";
import { gatewayOut, leadingOut } from "../network/default_route.ts";
import type { BridgeNetwork, BridgePlan, NetworkAttachment } from "../network/plan.ts";
import type { Database } from "../state/db.ts";
import {
  findNetwork,
  findNetworkByName,
  listMemberships,
  type Membership,
  type NetworkRequest,
  type NetworkRow,
  putMembership,
} from "../state/networks.ts";
import type { Engine } from "./engine.ts";
import { findDefaultInterface } from "./host_subnets.ts";
import { checkRequest, leaseAddresses, settleHolders } from "./network_leases.ts";
import { writeNetworkFiles } from "./network_files.ts";
import { findNetworkToJoin, macFor, nameInterfaces } from "./networks.ts";

/** With the name of its interface. */
type ResolvedRequest = NetworkRequest & { interface: string };

/** The networks that the words of `--network` mean, each with the interface that it will be. @throws {NotFoundError} */
export async function resolveMemberships(
  engine: Engine,
  words: readonly string[],
  options: AttachmentOptions,
): Promise<ResolvedRequest[]> {
  const db = await engine.database();
  const requests: NetworkRequest[] = [];
  const rows: NetworkRow[] = [];
  for (const request of parseAttachments(words, options)) {
    const row = await findNetworkToJoin(db, request.network);
    if (requests.some(({ network }) => network === row.name)) {
      throw new InvalidArgumentError(`network ${row.name} is named twice`);
    }
    checkRequest(row, request);
    const isPassthru = row.driver === "macvlan" && row.options.mode === "passthru";
    if (request.mac !== undefined && (row.driver === "ipvlan" || isPassthru)) {
      const how = isPassthru ? "macvlan's mode passthru" : "ipvlan";
      throw new UnsupportedError(
        `set MAC address ${request.mac} on network ${row.name}: with ${how} it is the parent's`,
      );
    }
    requests.push({ ...request, network: row.name });
    rows.push(row);
  }
  checkTogether(rows);
  const named = nameInterfaces(requests, rows);
  const twice = named.find((one, index) =>
    named.some((other, at) => at < index && other.interface === one.interface)
  );
  if (twice !== undefined) {
    throw new InvalidArgumentError(`interface ${twice.interface} is asked for by two networks`);
  }
  return named;
}

/** What hangs on an interface of this machine is not served by who holds the bridges. @throws {UnsupportedError} */
function checkTogether(rows: readonly NetworkRow[]): void {
  const parent = rows.find(({ driver }) => driver !== "bridge");
  const bridge = rows.find(({ driver }) => driver === "bridge");
  if (parent === undefined || bridge === undefined) return;
  throw new UnsupportedError(
    `use networks ${parent.name} and ${bridge.name} together: a container is on bridges or on ${parent.driver} networks`,
  );
}

/** Records that a new container is on its networks. To be called in the transaction that inserts its row. */
export function insertMemberships(db: Database, config: Pick<ContainerConfig, "id" | "network">): void {
  if (config.network.mode !== "bridge") return;
  config.network.networks.forEach((request, position) => {
    const row = findNetworkByName(db, request.network);
    if (row === undefined) throw networkGone(request.network);
    putMembership(db, { containerId: config.id, networkId: row.id, position, request });
  });
}

/**
 * `--opt host_binding_ipv4`: ports without an address are published there, by the first network that says so.
 * Gives a warning where nobody could be answered there.
 *
 * @throws {UnsupportedError} where the container's network takes no published ports
 */
export function bindToHostAddress(
  db: Database,
  config: Pick<ContainerConfig, "network" | "ports">,
  isRootless: boolean,
): string | undefined {
  if (config.network.mode !== "bridge") return undefined;
  const rows = config.network.networks.map(({ network }) => findNetworkByName(db, network));
  const parent = rows.find((row) => row !== undefined && row.driver !== "bridge");
  if (parent !== undefined) {
    throw new UnsupportedError(
      `publish ports: on ${parent.driver} network ${parent.name} the container has an address of its own, with all ports`,
    );
  }
  const hostAddress = rows.find((row) => row?.options.host_binding_ipv4 !== undefined)?.options
    .host_binding_ipv4;
  if (hostAddress !== undefined) {
    config.ports = config.ports?.map((port) => port.hostAddress === "" ? { ...port, hostAddress } : port);
  }
  const places = rows.flatMap((row) => row ? [{ network: describeBridge(row) }] : []);
  // root's bridges are this machine's own: from here they need no default route
  const isNear = !isRootless && places.some(({ network }) => !network.internal);
  if (isNear || leadingOut(places, false) || leadingOut(places, true)) return undefined;
  return `published ports do not reach the container: none of its networks leads out (${
    places.map(({ network }) => network.name).join(", ")
  })`;
}

/** What a container asks of the networks that it is on now. */
export function currentRequests(db: Database, containerId: string): ResolvedRequest[] {
  return nameInterfaces(listMemberships(db, containerId).map(({ request }) => request));
}

/** The plan of a container that starts: its networks as they are now, with addresses leased for this run. */
export async function leaseBridges(engine: Engine, config: ContainerConfig): Promise<BridgePlan> {
  const db = await engine.database();
  for (const { networkId } of listMemberships(db, config.id)) await settleHolders(engine, db, networkId);
  const attachments = await db.transaction(() => {
    const rows = listMemberships(db, config.id).map((member) => {
      const network = findNetwork(db, member.networkId)!;
      const leased = leaseAddresses(db, network, config.id, member.request);
      return attach(config, network, member, leased);
    });
    return withDefaultRoutes(rows);
  });
  writeNetworkFiles(engine, config, attachments);
  const nameservers = config.resolver?.servers;
  return { id: config.id, name: config.name, ...(nameservers && { nameservers }), attachments };
}

/** One network of a container, without default routes. */
export function attach(
  config: Pick<ContainerConfig, "id">,
  network: NetworkRow,
  { request }: Membership,
  addresses: NetworkAttachment["addresses"],
): NetworkAttachment {
  return {
    network: describeBridge(network),
    interface: request.interface ?? "eth0",
    ...(request.hostInterface !== undefined && { hostInterface: request.hostInterface }),
    addresses,
    // all ipvlan interfaces have their parent's
    mac: network.driver === "ipvlan" ? "" : macFor({ request }, addresses.map(({ address }) => address)),
    gateways: [],
    aliases: [...new Set([...request.aliases ?? [], config.id.slice(0, 12)])],
  };
}

/** With the gateways of the default routes, of each IP version one. */
export function withDefaultRoutes(attachments: readonly NetworkAttachment[]): NetworkAttachment[] {
  const leading = [false, true].map((isIpv6) => ({ isIpv6, place: leadingOut(attachments, isIpv6) }));
  return attachments.map((attachment) => ({
    ...attachment,
    gateways: leading.filter(({ place }) => place === attachment)
      .map(({ isIpv6 }) => gatewayOut(attachment.network, isIpv6)!),
  }));
}

/** The network as those who perform it see it. */
export function describeBridge(row: NetworkRow): BridgeNetwork {
  const { options } = row;
  return {
    id: row.id,
    name: row.name,
    driver: row.driver,
    interface: row.interface === "" && row.driver !== "bridge" ? defaultInterface(row.name) : row.interface,
    subnets: row.subnets.map(({ subnet, gateway }) => ({
      subnet,
      ...(gateway !== undefined && { gateway }),
    })),
    internal: row.internal,
    mtu: Number(options.mtu ?? 0),
    dns: row.dns,
    nameservers: row.nameservers,
    routes: row.routes,
    isolate: options.isolate === "strict" ? "strict" : options.isolate === "true" ? "true" : "",
    ...(options["com.docker.network.bridge.enable_icc"] === "false" && { areMembersApart: true as const }),
    ...(options["com.docker.network.bridge.enable_ip_masquerade"] === "false" &&
      { keepsSource: true as const }),
    vlan: Number(options.vlan ?? 0),
    ...(options.mode !== undefined && row.driver !== "bridge" && { mode: options.mode }),
    ...(options.metric !== undefined && { metric: Number(options.metric) }),
    noDefaultRoute: options.no_default_route === "true",
  };
}

/** The parent of macvlan and ipvlan where nobody has named one, as podman's. */
function defaultInterface(network: string): string {
  const found = findDefaultInterface();
  if (found !== undefined) return found;
  throw new HostError(`join network ${network}: this machine has no default route, and so no parent for it`, {
    hint: "name the parent: skiff network create --opt parent=INTERFACE",
  });
}

function networkGone(name: string): NotFoundError {
  return new NotFoundError("network", name, {
    message: `unable to find network with name or ID ${name}: network not found`,
  });
}

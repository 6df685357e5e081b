/**
 * Addresses of containers on their networks: handed out when one starts, in the transaction that finds them free.
 *
 * Two containers that run never have the same address: the lease's key is the address, and the transaction sees all
 * leases whose container runs. What others ask for by `--ip` is not given away either.
 */

import { observeContainers } from "../container/state.ts";
import { ConflictError, InvalidArgumentError } from "../errors.ts";
import { freeAddress, leaseRangeOf, whyUnusable } from "../network/allocation.ts";
import { contains, formatAddress, parseAddress, parseSubnet } from "../network/ip.ts";
import type { InterfaceAddress } from "../network/plan.ts";
import { findContainer } from "../state/containers.ts";
import type { Database } from "../state/db.ts";
import {
  deleteLease,
  listLeases,
  listMembers,
  type NetworkRequest,
  type NetworkRow,
  putLease,
  readCursors,
  writeCursors,
} from "../state/networks.ts";
import type { Engine } from "./engine.ts";

/**
 * Leases one address of every subnet. To be called in a transaction, with the container's row saying that it starts.
 *
 * @throws {ConflictError} where an address that was asked for is another's, or none is left
 */
export function leaseAddresses(
  db: Database,
  network: NetworkRow,
  containerId: string,
  request: NetworkRequest,
): InterfaceAddress[] {
  if (network.ipam === "none") return [];
  checkRequest(network, request);
  const leases = listLeases(db, network.id);
  const live = new Map(
    leases.filter((lease) => lease.isLive && lease.containerId !== containerId)
      .map(({ address, containerId: holder }) => [address, holder]),
  );
  const own = leases.filter((lease) => lease.containerId === containerId);
  const asked = new Set(
    listMembers(db, network.id).filter((member) => member.containerId !== containerId)
      .flatMap((member) => [member.request.ip, member.request.ip6])
      .flatMap((text) => text === undefined ? [] : [canonical(text)]),
  );
  const ended = new Set(leases.filter(({ isLive }) => !isLive).map(({ address }) => address));
  const cursors = readCursors(db, network.id);
  const given = network.subnets.map((pool) => {
    const subnet = parseSubnet(pool.subnet)!;
    const wanted = [request.ip, request.ip6].filter((text) => text !== undefined)
      .map((text) => parseAddress(text)!).find((address) => contains(subnet, address));
    const former = own.find(({ address }) => contains(subnet, parseAddress(address)!))?.address;
    const isTaken = (address: string) => live.has(address) || asked.has(address);
    let address: string | undefined;
    if (wanted !== undefined) {
      address = formatAddress(wanted);
      const holder = live.get(address);
      if (holder !== undefined) {
        throw new ConflictError(
          `IPAM error: requested ip address ${address} is already allocated to container ID ${holder}`,
        );
      }
    } else {
      // its own of the last time, else one that nobody had lately, else that of one who has ended
      address =
        former !== undefined && !isTaken(former) && whyUnusable(pool, parseAddress(former)!) === undefined
          ? former
          : freeAddress({ ...pool, cursor: cursors[pool.subnet] }, (one) => isTaken(one) || ended.has(one)) ??
            freeAddress({ ...pool, cursor: cursors[pool.subnet] }, isTaken);
      if (address === undefined) throw exhausted(pool, subnet.version);
      if (address !== former) cursors[pool.subnet] = address;
    }
    return { address, prefix: subnet.prefix };
  });
  for (const lease of own) deleteLease(db, lease);
  for (const { address } of given) putLease(db, { networkId: network.id, address, containerId });
  writeCursors(db, network.id, cursors);
  return given;
}

/**
 * What can be said before the container starts.
 *
 * @throws {InvalidArgumentError}
 */
export function checkRequest(network: NetworkRow, request: NetworkRequest): void {
  for (const [text, version] of [[request.ip, 4], [request.ip6, 6]] as const) {
    if (text === undefined) continue;
    const address = parseAddress(text)!;
    const pools = network.subnets.filter(({ subnet }) => parseSubnet(subnet)!.version === version);
    const reasons = pools.map((pool) => whyUnusable(pool, address));
    if (reasons.includes(undefined)) continue;
    const other = reasons.find((reason) => !reason!.startsWith("it is not in"));
    throw new InvalidArgumentError(
      other === undefined
        ? `requested static ip ${text} not in any subnet on network ${network.name}`
        : `requested static ip ${text} on network ${network.name}: ${other}`,
    );
  }
}

/** Records the ends of containers that hold addresses, so that these can be had. */
export async function settleHolders(engine: Engine, db: Database, networkId: string): Promise<void> {
  const ids = new Set(
    listLeases(db, networkId).filter(({ isLive }) => isLive).map((lease) => lease.containerId),
  );
  const rows = [...ids].flatMap((id) => findContainer(db, id) ?? []);
  await observeContainers(db, engine.folders.containers, rows);
}

function canonical(text: string): string {
  return formatAddress(parseAddress(text)!);
}

function exhausted(pool: NetworkRow["subnets"][number], version: 4 | 6): ConflictError {
  const { first, last } = leaseRangeOf(pool);
  const [start, end] = [first, last].map((value) => formatAddress({ version, value }));
  return new ConflictError(`IPAM error: failed to find free IP in range: ${start} - ${end}`);
}

/**
 * What is changed of this machine for bridges as root, written down so that it can be undone by whoever comes when those
 * who made it are gone: a file in the runtime folder, which a restart of the machine empties as it does the changes.
 */

import { NETLINK_NETFILTER } from "../../../ffi/constants/netlink.ts";
import { AT_FDCWD, F_OK, LOCK_EX, LOCK_NB } from "../../../ffi/constants/fcntl.ts";
import { close, faccessat } from "../../../ffi/file.ts";
import { NetlinkSocket, openNetlink } from "../../../ffi/netlink.ts";
import { batch } from "../../../ffi/nftables.ts";
import type { HolderPlan } from "../plan.ts";
import { shortHash } from "./client.ts";
import { type Forwarding, undoForwarding } from "./forwarding.ts";
import {
  connectToHolder,
  holderPaths,
  lockAlive,
  lockHolder,
  ownNetns,
  removeHolderLocks,
  removeHolderSockets,
} from "./holder_paths.ts";
import { HostLinks } from "./host_links.ts";
import { type HostRules, rulesetRequests } from "./host_rules.ts";

type Folders = Pick<HolderPlan, "run" | "data">;

export interface HostRecord {
  version: 1;
  /** The network namespace that it is of: `net:[4026531840]`. */
  netns: string;
  forwarding: Forwarding;
  rules: HostRules;
}

/** The name of the table: another data folder has another. */
export function tableOf({ data }: Folders): string {
  return data === "/var/lib/skiff" ? "skiff" : `skiff-${shortHash(data)}`;
}

/** By which bridges of this data folder are known. */
export function markOf({ data }: Folders): number {
  return parseInt(shortHash(data), 16);
}

/** undefined where there is none, or it is of another network namespace. */
export function readRecord(folders: Folders): HostRecord | undefined {
  try {
    const record = JSON.parse(Deno.readTextFileSync(holderPaths(folders).record));
    return record.version === 1 && record.netns === ownNetns() ? record : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export function writeRecord(folders: Folders, record: HostRecord): void {
  const path = holderPaths(folders).record;
  Deno.writeTextFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
  Deno.renameSync(`${path}.new`, path);
}

export function removeRecord(folders: Folders): void {
  try {
    Deno.removeSync(holderPaths(folders).record);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Undoes what a record tells of. To be called by who knows that nobody holds these bridges. */
export function undoRecord(folders: Folders): void {
  const record = readRecord(folders);
  if (record) {
    using netlink = new NetlinkSocket();
    const links = new HostLinks(netlink, markOf(folders));
    for (const network of record.rules.networks) links.closeBridge(network);
    using filter = new NetlinkSocket(openNetlink(NETLINK_NETFILTER));
    filter.perform(batch(rulesetRequests(tableOf(folders), { networks: [], ports: [] })));
    undoForwarding(record.forwarding, links.otherBridges());
  }
  removeRecord(folders);
}

/** Undoes what is left of bridges whose holder and containers were all killed; nothing where somebody has them. */
export function removeRemains(folders: Folders): void {
  if (!faccessat(AT_FDCWD, holderPaths(folders).record, F_OK)) return;
  using lock = lockHolder(folders, LOCK_EX | LOCK_NB);
  if (!lock) return;
  // one that has only begun undoes it by itself
  const holder = connectToHolder(folders);
  if (holder !== undefined) return close(holder);
  using alive = lockAlive(folders);
  if (!alive) return;
  undoRecord(folders);
  removeHolderSockets(folders);
  removeHolderLocks(folders);
}

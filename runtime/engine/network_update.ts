/** `network update`: other name servers. @see podman-network-update(1) */

import { InvalidArgumentError } from "../errors.ts";
import { formatAddress, parseAddress } from "../network/ip.ts";
import { findNetwork, updateNetwork } from "../state/networks.ts";
import { changeBridge, containersOn } from "./bridge_change.ts";
import type { Engine } from "./engine.ts";
import { DEFAULT_NETWORK, findNetworkRow, recordNetworkEvent } from "./networks.ts";

export interface NetworkUpdateOptions {
  dnsAdd?: string[];
  dnsDrop?: string[];
}

/** Containers that run ask the new servers from now on. */
export async function networkUpdate(
  engine: Engine,
  text: string,
  options: NetworkUpdateOptions,
): Promise<string> {
  const add = (options.dnsAdd ?? []).map(addressOf), drop = (options.dnsDrop ?? []).map(addressOf);
  const db = await engine.database();
  const { id, name } = await findNetworkRow(db, text);
  const row = await db.transaction(() => {
    const found = findNetwork(db, id)!;
    if (!found.dns) {
      throw new InvalidArgumentError(
        `cannot set NetworkDNSServers if DNS is not enabled for the network`,
        { hint: name === DEFAULT_NETWORK ? "make a network of your own: skiff network create" : undefined },
      );
    }
    const missing = drop.find((server) => !found.nameservers.includes(server));
    if (missing !== undefined) {
      throw new InvalidArgumentError(`update network ${name}: ${missing} is not one of its name servers`);
    }
    const kept = found.nameservers.filter((server) => !drop.includes(server));
    const updated = { ...found, nameservers: [...new Set([...kept, ...add])] };
    updateNetwork(db, updated);
    return updated;
  });
  const change = { kind: "nameservers", networkId: id, nameservers: row.nameservers } as const;
  await changeBridge(engine, change, await containersOn(engine, id));
  recordNetworkEvent(engine, row, "update");
  return name;
}

function addressOf(text: string): string {
  const address = parseAddress(text);
  if (address === undefined) throw new InvalidArgumentError(`"${text}" is not an ip address`);
  return formatAddress(address);
}

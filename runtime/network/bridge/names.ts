/**
 * Who is called what on the bridges: the names, aliases and short ids of the containers that run, and their addresses.
 *
 * A container is asked for by those who share a network with it; whoever is on two networks may ask the nameserver of
 * either for the names of both.
 */

import { type AddressBytes, mustParse, parseAddress, sameAddress } from "../stack/addresses.ts";
import { type LocalRecords, reverseAddress, TYPE } from "../stack/dns_message.ts";
import type { BridgePlan, NetworkAttachment } from "../plan.ts";

/** What is to be done with a question. */
export type Resolution =
  | { kind: "records"; records: LocalRecords }
  /** Nobody of that name here, and the asker has no way out. */
  | { kind: "unknown" }
  /** `servers` of the network; none: the host's. */
  | { kind: "forward"; servers: string[] };

/** A search domain that podman gives its containers. */
const DOMAIN = ".dns.podman";

interface Place {
  attachment: NetworkAttachment;
  /** Lower case, the container's own name first. */
  names: string[];
  addresses: AddressBytes[];
}

export class NameTable {
  readonly #containers = new Map<string, Place[]>();

  /** Takes the place of what was known of the container. */
  set(plan: BridgePlan): void {
    this.#containers.set(
      plan.id,
      plan.attachments.map((attachment) => ({
        attachment,
        names: [...new Set([plan.name, ...attachment.aliases, plan.id.slice(0, 12)].map(lower))],
        addresses: attachment.addresses.map(({ address }) => mustParse(address)),
      })),
    );
  }

  delete(id: string): void {
    this.#containers.delete(id);
  }

  /**
   * For a question for `name` (lower case) of `type`, which came from `source`: an address tells whose it is, as no two
   * networks share any, and who lies about it gets no answer.
   */
  resolve(source: AddressBytes, name: string, type: number): Resolution {
    const asker = this.#placesOf(source);
    const networks = asker.map(({ attachment }) => attachment.network);
    const named = networks.filter(({ dns }) => dns).map(({ id }) => id);
    const found = type === TYPE.PTR ? this.#names(named, name) : this.#addresses(named, name);
    if (found !== undefined) return { kind: "records", records: found };
    if (name.endsWith(DOMAIN)) return { kind: "unknown" };
    const way = networks.find(({ internal }) => !internal);
    return way ? { kind: "forward", servers: way.nameservers } : { kind: "unknown" };
  }

  /** All places of the container that has this address, that one first. */
  #placesOf(source: AddressBytes): Place[] {
    for (const places of this.#containers.values()) {
      const at = places.find(({ addresses }) => addresses.some((one) => sameAddress(one, source)));
      if (at) return [at, ...places.filter((one) => one !== at)];
    }
    return [];
  }

  #addresses(networks: readonly string[], asked: string): LocalRecords | undefined {
    const name = asked.endsWith(DOMAIN) ? asked.slice(0, -DOMAIN.length) : asked;
    const addresses: AddressBytes[] = [];
    let isKnown = false;
    for (const network of networks) {
      for (const place of this.#placesOn(network)) {
        if (!place.names.includes(name)) continue;
        isKnown = true;
        addresses.push(...place.addresses);
      }
    }
    return isKnown ? { addresses } : undefined;
  }

  /** Of the subnets of the asker's networks nobody outside knows anything. */
  #names(networks: readonly string[], asked: string): LocalRecords | undefined {
    const text = reverseAddress(asked);
    const address = text === undefined ? undefined : parseAddress(text);
    if (address === undefined) return undefined;
    for (const network of networks) {
      for (const place of this.#placesOn(network)) {
        if (place.addresses.some((one) => sameAddress(one, address))) return { names: place.names };
      }
    }
    return undefined;
  }

  *#placesOn(networkId: string): Iterable<Place> {
    for (const places of this.#containers.values()) {
      for (const place of places) if (place.attachment.network.id === networkId) yield place;
    }
  }
}

function lower(text: string): string {
  return text.toLowerCase();
}

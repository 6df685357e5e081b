/**
 * Who is called what on the bridges: the names, aliases and short ids of the containers that run, and their addresses.
 *
 * A container is asked for by those who share a network with it; whoever is on two networks may ask the nameserver of
 * either for the names of both.
 */

import { type AddressBytes, mustParse, sameAddress } from "../stack/addresses.ts";
import type { NameSource } from "../stack/dns_forwarder.ts";
import type { BridgePlan, NetworkAttachment } from "../plan.ts";

/** A search domain that podman gives its containers. */
const DOMAIN = ".dns.podman";

interface Place {
  attachment: NetworkAttachment;
  /** Lower case, the container's own name first. */
  names: string[];
  addresses: AddressBytes[];
}

export class NameTable implements NameSource {
  readonly #containers = new Map<string, Place[]>();
  /** Index of the bridge by network. */
  readonly #bridges = new Map<string, number>();

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

  setBridge(networkId: string, index: number): void {
    this.#bridges.set(networkId, index);
  }

  deleteBridge(networkId: string): void {
    this.#bridges.delete(networkId);
  }

  /**
   * Whether a question by this bridge can be the asker's. Who is on an internal network would ask outside in the name of
   * others otherwise.
   */
  isFrom(asker: AddressBytes, bridge: number): boolean {
    const places = this.#placesOf(asker);
    return places.length === 0 ||
      places.some(({ attachment }) => this.#bridges.get(attachment.network.id) === bridge);
  }

  addresses(asked: string, asker: AddressBytes): readonly string[] | "nobody" | undefined {
    const name = asked.endsWith(DOMAIN) ? asked.slice(0, -DOMAIN.length) : asked;
    const places = [...this.#seenBy(asker)].filter(({ names }) => names.includes(name));
    // a name in a domain that is ours is known nowhere else
    if (places.length === 0) return name === asked ? undefined : "nobody";
    return places.flatMap(({ attachment }) => attachment.addresses.map(({ address }) => address));
  }

  names(asked: string, asker: AddressBytes): readonly string[] | undefined {
    const address = mustParse(asked);
    for (const place of this.#seenBy(asker)) {
      if (place.addresses.some((one) => sameAddress(one, address))) return place.names;
    }
    return undefined;
  }

  /** Nobody's questions go nowhere: an address tells whose it is, as no two networks share any. */
  mayAskOutside(asker: AddressBytes): boolean {
    return this.#placesOf(asker).some(({ attachment }) => !attachment.network.internal);
  }

  servers(asker: AddressBytes): readonly string[] | undefined {
    const way = this.#placesOf(asker).find(({ attachment }) => !attachment.network.internal);
    const { nameservers = [] } = way?.attachment.network ?? {};
    return nameservers.length > 0 ? nameservers : undefined;
  }

  /** Who shares a network of names with the asker, the one that it asks by first. */
  *#seenBy(asker: AddressBytes): Iterable<Place> {
    for (const { attachment: { network } } of this.#placesOf(asker)) {
      if (network.dns) yield* this.#placesOn(network.id);
    }
  }

  /** All places of the container that has this address, that one first. */
  #placesOf(source: AddressBytes): Place[] {
    for (const places of this.#containers.values()) {
      const at = places.find(({ addresses }) => addresses.some((one) => sameAddress(one, source)));
      if (at) return [at, ...places.filter((one) => one !== at)];
    }
    return [];
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

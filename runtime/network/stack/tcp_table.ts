/**
 * Connections by their two ends. The hash takes each word with a secret of the process: neither a guest nor a client,
 * who both choose among many IPv6 addresses, can have one chain for all.
 */

import { guestOfEntry, type Place, Shares } from "./shares.ts";

/** What is looked up: words of the guest's address and of the other end's, as the guest sees it, and both ports. */
export interface TableKey {
  readonly g0: number;
  readonly g1: number;
  readonly g2: number;
  readonly g3: number;
  readonly p0: number;
  readonly p1: number;
  readonly p2: number;
  readonly p3: number;
  /** Guest's port and the other end's, as `ports()` puts them together. */
  readonly ports: number;
}

export interface TableEntry extends TableKey {
  /** The next one of its chain. */
  chain: TableEntry | undefined;
  /** Among the guest's entries. */
  place: Place<unknown> | undefined;
}

export function ports(guest: number, peer: number): number {
  return (guest << 16 | peer) | 0;
}

const FIRST_SIZE = 64;

export class ConnectionTable<Entry extends TableEntry> {
  #chains: (Entry | undefined)[] = new Array(FIRST_SIZE).fill(undefined);
  /** What the hash begins with, and an odd number that it is multiplied by. */
  readonly #secret = crypto.getRandomValues(new Int32Array(2)).map((word) => word | 1);
  readonly shares = new Shares<Entry>();
  size = 0;

  #hash({ g0, g1, g2, g3, p0, p1, p2, p3, ports }: TableKey): number {
    const factor = this.#secret[1]!;
    let hash = mix(this.#secret[0]! ^ ports, factor);
    hash = mix(mix(mix(mix(hash ^ g0, factor) ^ g1, factor) ^ g2, factor) ^ g3, factor);
    hash = mix(mix(mix(mix(hash ^ p0, factor) ^ p1, factor) ^ p2, factor) ^ p3, factor);
    return hash & (this.#chains.length - 1);
  }

  find(key: TableKey): Entry | undefined {
    let entry = this.#chains[this.#hash(key)];
    while (entry !== undefined && !isSame(entry, key)) entry = entry.chain as Entry | undefined;
    return entry;
  }

  /** Adds what is not in it. */
  add(entry: Entry): void {
    if (this.size >= this.#chains.length * 2) this.#grow();
    this.#insert(entry);
    this.size++;
    entry.place = this.shares.add(guestOfEntry(entry), entry);
  }

  #insert(entry: Entry): void {
    const index = this.#hash(entry);
    entry.chain = this.#chains[index];
    this.#chains[index] = entry;
  }

  delete(entry: Entry): void {
    const index = this.#hash(entry);
    let before: Entry | undefined;
    for (let at = this.#chains[index]; at !== undefined; at = at.chain as Entry | undefined) {
      if (at === entry) {
        if (before === undefined) this.#chains[index] = entry.chain as Entry | undefined;
        else before.chain = entry.chain;
        entry.chain = undefined;
        this.size--;
        if (entry.place !== undefined) this.shares.delete(entry.place as Place<Entry>);
        return;
      }
      before = at;
    }
  }

  /** All of them, in no order; they may be deleted meanwhile. */
  list(): Entry[] {
    const all: Entry[] = [];
    for (const first of this.#chains) {
      for (let entry = first; entry !== undefined; entry = entry.chain as Entry | undefined) all.push(entry);
    }
    return all;
  }

  #grow(): void {
    const all = this.list();
    this.#chains = new Array(this.#chains.length * 4).fill(undefined);
    for (const entry of all) this.#insert(entry);
  }
}

function mix(hash: number, factor: number): number {
  const product = Math.imul(hash, factor);
  return product ^ (product >>> 15);
}

function isSame(one: TableEntry, other: TableKey): boolean {
  return one.ports === other.ports && one.g3 === other.g3 && one.p3 === other.p3 && one.p2 === other.p2 &&
    one.g2 === other.g2 && one.p1 === other.p1 && one.p0 === other.p0 && one.g1 === other.g1 &&
    one.g0 === other.g0;
}

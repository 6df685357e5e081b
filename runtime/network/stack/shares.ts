/** Who of the guests holds how much of what there is once for all: who has most makes room, so that nobody goes without. */

/** Guests that are looked at to find the one; a guest may send from many addresses of its network. */
const LOOKS = 256;

/** A guest by the words of its address: of IPv6, by the network that it may have any address of. */
export function guestOf(a: number, b: number, c: number, d: number): number {
  return a === 0 && b === 0 && c === 0xffff ? d : Math.imul(a, 31) ^ b;
}

/** The same of what a connection's guest is known by. */
export function guestOfEntry({ g0, g1, g2, g3 }: { g0: number; g1: number; g2: number; g3: number }): number {
  return guestOf(g0, g1, g2, g3);
}

/** Guests whose share stays when it is empty: one that opens and closes connections in turn gets no new one each time. */
const KEPT_GUESTS = 16;

export class Shares<Item> {
  /** Each in the order in which they came. */
  readonly #items = new Map<number, Set<Item>>();
  /** One that has had more than others. */
  #greedy = 0;

  add(guest: number, item: Item): void {
    let items = this.#items.get(guest);
    if (items === undefined) this.#items.set(guest, items = new Set());
    items.add(item);
    if (items.size > this.count(this.#greedy)) this.#greedy = guest;
  }

  delete(guest: number, item: Item): void {
    const items = this.#items.get(guest);
    if (items?.delete(item) && items.size === 0 && this.#items.size > KEPT_GUESTS) this.#items.delete(guest);
  }

  count(guest: number): number {
    return this.#items.get(guest)?.size ?? 0;
  }

  /** All of the guest that has most, the oldest first. */
  most(): ReadonlySet<Item> {
    let most = this.#items.get(this.#greedy);
    let looks = 0;
    for (const [guest, items] of this.#items) {
      if (items.size > (most?.size ?? 0)) {
        most = items;
        this.#greedy = guest;
      }
      if (++looks === LOOKS) break;
    }
    return most ?? new Set();
  }

  /** What has to go so that this guest gets one more; nothing where no other has clearly more than it. */
  roomFor(guest: number): Item | undefined {
    const most = this.most();
    return most.size > this.count(guest) + 1 ? most.values().next().value : undefined;
  }
}

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

/** Where an item is among those of its guest. */
export interface Place<Item> {
  readonly item: Item;
  readonly share: Share<Item>;
  before: Place<Item> | undefined;
  after: Place<Item> | undefined;
  isTaken: boolean;
}

/** What one guest has, in the order in which it came: a list of links, as a Set is made anew every few changes. */
class Share<Item> implements Iterable<Item> {
  first: Place<Item> | undefined;
  last: Place<Item> | undefined;
  size = 0;

  constructor(readonly guest: number) {}

  *[Symbol.iterator](): Generator<Item> {
    for (let place = this.first; place !== undefined; place = place.after) yield place.item;
  }
}

export class Shares<Item> {
  readonly #shares = new Map<number, Share<Item>>();
  /** The one that was asked for last: most often it is the next, too. */
  #latest: Share<Item> = new Share(0);
  /** One that has had more than others. */
  #greedy: Share<Item> = this.#latest;

  /** @returns what `delete` is to be given */
  add(guest: number, item: Item): Place<Item> {
    const share = this.#shareOf(guest);
    const before = share.last;
    const place = { item, share, before, after: undefined, isTaken: true };
    if (before === undefined) share.first = place;
    else before.after = place;
    share.last = place;
    if (++share.size > this.#greedy.size) this.#greedy = share;
    return place;
  }

  #shareOf(guest: number): Share<Item> {
    if (this.#latest.guest === guest && this.#latest.size > 0) return this.#latest;
    let share = this.#shares.get(guest);
    if (share === undefined) this.#shares.set(guest, share = new Share(guest));
    return this.#latest = share;
  }

  /** Does nothing where it was done before. */
  delete(place: Place<Item>): void {
    if (!place.isTaken) return;
    place.isTaken = false;
    const { share, before, after } = place;
    if (before === undefined) share.first = after;
    else before.after = after;
    if (after === undefined) share.last = before;
    else after.before = before;
    // an old one that is over must not keep younger ones from being collected, which keep those after them
    place.before = place.after = undefined;
    if (--share.size === 0 && this.#shares.size > KEPT_GUESTS) this.#shares.delete(share.guest);
  }

  count(guest: number): number {
    return this.#shares.get(guest)?.size ?? 0;
  }

  /** All of the guest that has most, the oldest first; none may be deleted while they are looked at. */
  most(): Iterable<Item> {
    return this.#most();
  }

  #most(): Share<Item> {
    let looks = 0;
    for (const share of this.#shares.values()) {
      if (share.size > this.#greedy.size) this.#greedy = share;
      if (++looks === LOOKS) break;
    }
    return this.#greedy;
  }

  /** What has to go so that this guest gets one more; nothing where no other has clearly more than it. */
  roomFor(guest: number): Item | undefined {
    const most = this.#most();
    return most.size > this.count(guest) + 1 ? most.first!.item : undefined;
  }
}

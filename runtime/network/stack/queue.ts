/**
 * First in, first out, in memory that is used again: an array that begins anew for each packet, or is cut at its front, leaves
 * more garbage than all else that a packet needs.
 */

/** Places of what was taken, before the rest moves up. */
const TAKEN_MAX = 256;

export class Queue<Item> {
  readonly #items: (Item | undefined)[] = [];
  #head = 0;
  #tail = 0;

  get size(): number {
    return this.#tail - this.#head;
  }

  push(item: Item): void {
    this.#items[this.#tail++] = item;
  }

  /** The oldest, of which nothing stays here. */
  shift(): Item | undefined {
    if (this.#head === this.#tail) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#tail) this.#head = this.#tail = 0;
    else if (this.#head === TAKEN_MAX) this.#moveUp();
    return item;
  }

  #moveUp(): void {
    const end = this.#tail;
    this.#items.copyWithin(0, this.#head, end);
    this.#tail -= this.#head;
    this.#head = 0;
    this.#items.fill(undefined, this.#tail, end);
  }

  clear(): void {
    while (this.size > 0) this.shift();
  }
}

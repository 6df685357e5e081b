/** Notices when the stack has done much and then does little: the time to give memory back. */

import type { Host } from "./host.ts";

/** Rounds of work that leave garbage worth a collection, which takes about as long as they do. */
const WORTH_ROUNDS = 400;
/** As many rounds of work in this time are little. */
const QUIET_MS = 250;
const QUIET_ROUNDS = 50;

export class Lull {
  readonly #host: Pick<Host, "after">;
  readonly #onLull: () => void;
  /** Since the last lull, and since the timer was set. */
  #rounds = 0;
  #lately = 0;
  #isAwaited = false;

  constructor(host: Pick<Host, "after">, onLull: () => void) {
    this.#host = host;
    this.#onLull = onLull;
  }

  /** To be called after each round of work, with what it has ended: that leaves garbage as a round does. */
  worked(ended = 0): void {
    this.#lately++;
    this.#rounds += 1 + ended;
    if (this.#rounds < WORTH_ROUNDS || this.#isAwaited) return;
    this.#isAwaited = true;
    this.#await();
  }

  #await(): void {
    this.#lately = 0;
    this.#host.after(QUIET_MS, () => {
      if (this.#lately > QUIET_ROUNDS) return this.#await();
      this.#isAwaited = false;
      this.#rounds = 0;
      this.#onLull();
    });
  }
}

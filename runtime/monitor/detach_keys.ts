/**
 * The key sequence that detaches a client from a terminal: `ctrl-p,ctrl-q` and what a user sets instead.
 *
 * @see docker attach(1), `--detach-keys`: a letter a-z or `ctrl-` with a-z, @, [, \, ], ^ or _
 */

import { InvalidArgumentError } from "../errors.ts";

export const DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q";

/** What follows `ctrl-` besides a letter, in the order of its control characters 27 to 31 (and @ is 0). */
const CONTROL_PUNCTUATION = ["[", "\\", "]", "^", "_"];

/**
 * The bytes of a sequence. An empty text switches detaching off and gives none.
 *
 * @throws {InvalidArgumentError} when a key is unknown.
 */
export function parseDetachKeys(text: string): Uint8Array {
  if (text === "") return new Uint8Array(0);
  return Uint8Array.from(text.split(","), (key) => parseKey(key, text));
}

function parseKey(key: string, text: string): number {
  if (key.length === 1 && key.charCodeAt(0) < 0x80) return key.charCodeAt(0);
  if (key.toLowerCase().startsWith("ctrl-") && key.length === 6) {
    const name = key.charAt(5).toLowerCase();
    if (name >= "a" && name <= "z") return name.charCodeAt(0) - 96;
    if (name === "@") return 0;
    const index = CONTROL_PUNCTUATION.indexOf(name);
    if (index !== -1) return 27 + index;
  }
  throw new InvalidArgumentError(
    `parse detach keys ${JSON.stringify(text)}: unknown key ${JSON.stringify(key)}`,
  );
}

/** What may be passed on of a piece of input, and whether the sequence was completed in it. */
export interface Scanned {
  bytes: Uint8Array;
  detach: boolean;
}

/**
 * Finds the sequence in typed input, however it is split. Keys of a sequence that has begun are held back
 * until it is complete (then they are dropped) or broken (then they are passed on).
 */
export class DetachScanner {
  #matched = 0;

  constructor(readonly keys: Uint8Array) {}

  /** Input after the sequence is dropped: the client has gone. */
  scan(input: Uint8Array): Scanned {
    const { keys } = this;
    if (keys.length === 0) return { bytes: input, detach: false };
    if (this.#matched === 0 && input.indexOf(keys[0]!) === -1) return { bytes: input, detach: false };
    const out: number[] = [];
    for (const byte of input) {
      while (this.#matched > 0 && byte !== keys[this.#matched]) this.#fallBack(out);
      if (byte !== keys[this.#matched]) {
        out.push(byte);
        continue;
      }
      this.#matched++;
      if (this.#matched === keys.length) {
        this.#matched = 0;
        return { bytes: Uint8Array.from(out), detach: true };
      }
    }
    return { bytes: Uint8Array.from(out), detach: false };
  }

  /** Gives up the longest match for the next shorter one, as `ctrl-p,ctrl-p,ctrl-q` needs. */
  #fallBack(out: number[]): void {
    const { keys } = this;
    const held = this.#matched;
    let shorter = held - 1;
    while (shorter > 0 && !startsAlike(keys, held, shorter)) shorter--;
    for (let index = 0; index < held - shorter; index++) out.push(keys[index]!);
    this.#matched = shorter;
  }
}

/** Whether the last `length` of the first `held` keys are the first `length` keys. */
function startsAlike(keys: Uint8Array, held: number, length: number): boolean {
  for (let index = 0; index < length; index++) {
    if (keys[index] !== keys[held - length + index]) return false;
  }
  return true;
}

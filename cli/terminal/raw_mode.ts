/** The caller's terminal handed to a program in a container. @see termios(3) */

import { cfmakeraw, tcgetattr, tcsetattr } from "../../ffi/tty.ts";

const STDIN = 0;

/** Raw until disposed of: keys, also Ctrl-C, go to the program, and what it writes is not changed. */
export class RawMode implements Disposable {
  readonly #before = tcgetattr(STDIN);
  readonly #atExit = () => this[Symbol.dispose]();

  constructor() {
    tcsetattr(STDIN, cfmakeraw(this.#before));
    // Deno.exit runs no disposers.
    globalThis.addEventListener("unload", this.#atExit);
  }

  [Symbol.dispose](): void {
    globalThis.removeEventListener("unload", this.#atExit);
    try {
      tcsetattr(STDIN, this.#before);
    } catch {
      // The terminal has hung up: nothing is left to restore.
    }
  }
}

/** Size of the caller's terminal; undefined where there is none. */
export function windowSize(): { rows: number; cols: number } | undefined {
  try {
    const { rows, columns } = Deno.consoleSize();
    return { rows, cols: columns };
  } catch {
    return undefined;
  }
}

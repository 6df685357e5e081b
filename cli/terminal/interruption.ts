/** Ctrl-C or SIGTERM as an abort, so that what was begun is cleared up; a second one ends at once. */

/** The user asked to stop; what was downloaded stays for the next try. */
export class InterruptedError extends Error {
  override name = "InterruptedError";
  constructor(signal: "SIGINT" | "SIGTERM", readonly exitCode = signal === "SIGINT" ? 130 : 143) {
    super(`interrupted by ${signal}`);
  }
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

export class Interruption implements Disposable {
  readonly #controller = new AbortController();
  readonly #listeners = SIGNALS.map((name) => ({ name, stop: () => this.#stop(name) }));

  constructor() {
    for (const { name, stop } of this.#listeners) Deno.addSignalListener(name, stop);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  #stop(name: typeof SIGNALS[number]): void {
    if (!this.signal.aborted) return this.#controller.abort(new InterruptedError(name));
    this[Symbol.dispose]();
    Deno.kill(Deno.pid, name);
  }

  [Symbol.dispose](): void {
    for (const { name, stop } of this.#listeners) Deno.removeSignalListener(name, stop);
  }
}

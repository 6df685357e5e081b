/** What a pull needs of the terminal: its progress shown, and a Ctrl-C that ends it cleanly. */

import type { PullProgress } from "../../runtime/engine/pull.ts";
import { PullProgressBar } from "../output/progress.ts";
import { InterruptedError } from "./interruption.ts";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/** Costs nothing until the first event: a `run` of an image that is there shows nothing. */
export class PullWatch implements Disposable {
  readonly #controller = new AbortController();
  readonly #bar = new PullProgressBar();
  readonly #listeners = SIGNALS.map((name) => ({
    name,
    stop: () => this.#controller.abort(new InterruptedError(name)),
  }));
  #isListening = false;
  #isShown = false;

  constructor(private readonly quiet: boolean) {}

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  readonly progress = (event: PullProgress): void => {
    if (!this.#isListening && !isOver(event)) {
      this.#isListening = true;
      for (const { name, stop } of this.#listeners) Deno.addSignalListener(name, stop);
    }
    if (this.quiet) return;
    this.#isShown = true;
    this.#bar.update(event);
  };

  /** Runs `action`; after a signal its error, whatever it is, gives way to the interruption. */
  async during<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      throw this.signal.aborted ? this.signal.reason : error;
    } finally {
      this[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    if (this.#isShown) this.#bar.finish();
    this.#isShown = false;
    if (!this.#isListening) return;
    this.#isListening = false;
    for (const { name, stop } of this.#listeners) Deno.removeSignalListener(name, stop);
  }
}

/** Tells of what needs no time, and so of nothing to interrupt: listening takes a thread. */
function isOver(event: PullProgress): boolean {
  return event.kind === "layer" ? event.status === "exists" : event.isLast ?? false;
}

/** Where commands can be rehearsed: nothing that they do outlives it. @see cli/rehearse.ts */

import { prepareMonitorCode } from "../monitor/lazy_code.ts";
import { rehearseContainer } from "../monitor/rehearse.ts";
import { type Soil, takePlans } from "../monitor/seed.ts";
import { prepareNetworkCode } from "../network/lazy_code.ts";
import { rehearseInMemory } from "../state/db.ts";
import { Engine, type EngineOptions } from "./engine.ts";
import { foresee } from "./prepare_start.ts";
import { preparePush } from "./rehearse_push.ts";

/** A container's start was gone through to its end. */
class PlanTaken extends Error {}

/**
 * As long as it lasts, a container that is started lives on paper only, the state of all engines is kept in memory, and
 * random numbers are none: a process that is kept as a file must not have drawn any, or each command would draw the
 * next ones.
 */
export class Stage implements Disposable {
  /** Containers that have lived. */
  lives = 0;
  readonly #held = new DisposableStack();
  readonly #engine: EngineOptions;
  #soil: Soil | undefined;

  private constructor(engine: EngineOptions, folder: string, state: Disposable) {
    this.#engine = engine;
    this.#held.use(state);
    this.#held.use(withoutRandomNumbers());
    this.#held.defer(() => takePlans(undefined));
    takePlans((plan) => {
      if (this.#soil) rehearseContainer(plan, this.#soil, folder);
      this.lives++;
      throw new PlanTaken();
    });
  }

  /** The engine's folders are in `folder`. Nothing that happens here may wait for the event loop. */
  static async set(engine: EngineOptions, folder: string): Promise<Stage> {
    await prepareNetworkCode();
    await prepareMonitorCode();
    return new Stage(engine, folder, await rehearseInMemory());
  }

  /** What a command that is to start a container does first of all, but for the fork. */
  prepareStart(words: readonly string[]): void {
    this.#soil = foresee(words, new Engine(this.#engine), false);
  }

  /** An image of that name is here, and at the registry as well. */
  async preparePush(name: string): Promise<void> {
    this.#held.use(await preparePush(new Engine(this.#engine), name));
  }

  [Symbol.dispose](): void {
    this.#held.dispose();
  }
}

/** As long as it lasts, what is random comes one after the other. */
function withoutRandomNumbers(): Disposable {
  let last = 0;
  const next = () => last = (last * 75 + 74) % 65537;
  const { random } = Math;
  const own = {
    getRandomValues(view: ArrayBufferView): ArrayBufferView {
      const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
      for (let at = 0; at < bytes.length; at++) bytes[at] = next();
      return view;
    },
    randomUUID: () => `00000000-0000-4000-8000-${String(next()).padStart(12, "0")}`,
  };
  Object.assign(crypto, own);
  Math.random = () => next() / 65537;
  return {
    [Symbol.dispose]: () => {
      Math.random = random;
      for (const name of Object.keys(own)) Reflect.deleteProperty(crypto, name);
    },
  };
}

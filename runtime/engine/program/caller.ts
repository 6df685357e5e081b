/** How a program's objects reach the engine: here in the process, or in a skiff of its own for whatever forks. */

import { type Engine, type EngineOptions, openEngine, sessionFolders } from "../engine.ts";
import { callRemote, ownCommand, type RemoteHooks, type RemoteReply, type RemoteVerb } from "../remote.ts";

export interface SkiffOptions extends EngineOptions {
  /**
   * The words that start skiff, such as `["/usr/local/bin/skiff"]`; by default the variable SKIFF_BINARY, else the
   * skiff that this library is part of.
   */
  executable?: string[];
}

/** Whoever asks may change his mind. */
export interface Abortable {
  signal?: AbortSignal;
}

export class Caller {
  readonly engine: Engine;
  readonly #options: SkiffOptions;

  constructor(options: SkiffOptions) {
    this.#options = { ...sessionFolders(), ...options };
    this.engine = openEngine(this.#options);
  }

  /** One verb in a skiff of its own, to its end. */
  async call<T>(verb: RemoteVerb, args: unknown[], hooks: RemoteHooks = {}): Promise<T> {
    const reply = await this.open<T>(verb, args, hooks);
    await reply.release();
    return reply.result;
  }

  /** As `call`, but that skiff stays, as the parent of what it has started, until it is released. */
  open<T>(verb: RemoteVerb, args: unknown[], hooks: RemoteHooks = {}): Promise<RemoteReply<T>> {
    const { dataFolder, runtimeFolder, storageDriver } = this.#options;
    return callRemote<T>(this.#executable, {
      verb,
      engine: { dataFolder, runtimeFolder, storageDriver },
      args,
    }, hooks);
  }

  get #executable(): string[] {
    return this.#options.executable ?? ownCommand();
  }
}

/** What takes no time here but may wait for another's lock: given up where the caller has lost interest. */
export async function unlessAborted<T>(
  signal: AbortSignal | undefined,
  action: () => Promise<T>,
): Promise<T> {
  if (!signal) return await action();
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([action(), aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** The pods, as a program holds them. */

import { podKill, podPause, podStop, type PodStopOptions, podUnpause } from "../pods/change.ts";
import type { PodCloneOptions } from "../pods/clone.ts";
import type { CreatedPod } from "../pods/create.ts";
import { podInspect, type PodInspection } from "../pods/inspect.ts";
import { podExists, type PodListEntry, pods } from "../pods/list.ts";
import type { PodCreateOptions } from "../pods/options.ts";
import type { PodRmOptions } from "../pods/rm.ts";
import { podTop } from "../pods/top.ts";
import type { RemoteHooks } from "../remote.ts";
import type { ProcessTable } from "../top.ts";
import { type Abortable, type Caller, unlessAborted } from "./caller.ts";

/** Containers are put into a pod by `pod` of `create` and `run`. */
export class Pods {
  readonly #caller: Caller;

  /** @internal */
  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Makes a pod and gives its id. */
  async create(
    options: PodCreateOptions = {},
    hooks: Pick<RemoteHooks, "signal" | "progress" | "warn"> = {},
  ): Promise<string> {
    return (await this.#caller.call<CreatedPod>("podCreate", [options], hooks)).id;
  }

  /** Another pod with the same options, and clones of its containers. */
  async clone(
    pod: string,
    { signal, ...options }: PodCloneOptions & Abortable = {},
  ): Promise<string> {
    return (await this.#caller.call<CreatedPod>("podClone", [pod, options], { signal })).id;
  }

  /** Newest first. */
  list({ signal }: Abortable = {}): Promise<PodListEntry[]> {
    return unlessAborted(signal, () => pods(this.#caller.engine));
  }

  /** Throws NotFoundError where there is none. */
  inspect(pod: string, { signal }: Abortable = {}): Promise<PodInspection> {
    return unlessAborted(signal, () => podInspect(this.#caller.engine, pod));
  }

  exists(pod: string, { signal }: Abortable = {}): Promise<boolean> {
    return unlessAborted(signal, () => podExists(this.#caller.engine, pod));
  }

  /** The processes of its containers that run. */
  top(pod: string, descriptors?: string[], { signal }: Abortable = {}): Promise<ProcessTable> {
    return unlessAborted(signal, () => podTop(this.#caller.engine, pod, descriptors));
  }

  /** Starts all its containers. */
  async start(pod: string, { signal }: Abortable = {}): Promise<void> {
    await this.#caller.call("podStart", [pod], { signal });
  }

  /** Returns when all its containers have ended. */
  async stop(pod: string, options: PodStopOptions = {}): Promise<void> {
    await podStop(this.#caller.engine, pod, options);
  }

  async restart(
    pod: string,
    { signal, ...options }: Pick<PodStopOptions, "timeoutSeconds"> & Abortable = {},
  ): Promise<void> {
    await this.#caller.call("podRestart", [pod, options], { signal });
  }

  async kill(pod: string, name = "KILL", { signal }: Abortable = {}): Promise<void> {
    await unlessAborted(signal, () => podKill(this.#caller.engine, pod, name));
  }

  /** Holds its containers still; there may be a warning of how. */
  async pause(pod: string, { signal }: Abortable = {}): Promise<{ warning?: string }> {
    const { warning } = await unlessAborted(signal, () => podPause(this.#caller.engine, pod));
    return { warning };
  }

  async unpause(pod: string, { signal }: Abortable = {}): Promise<void> {
    await unlessAborted(signal, () => podUnpause(this.#caller.engine, pod));
  }

  /** Removes a pod with its containers. */
  async remove(pod: string, { signal, ...options }: PodRmOptions & Abortable = {}): Promise<void> {
    await this.#caller.call("podRm", [pod, options], { signal });
  }

  /** Removes those whose containers have ended, and gives their ids. */
  prune({ signal }: Abortable = {}): Promise<string[]> {
    return this.#caller.call<string[]>("podPrune", [], { signal });
  }
}

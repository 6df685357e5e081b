/** The networks of containers, as a program holds them. */

import {
  networkConnect,
  type NetworkConnectOptions,
  networkDisconnect,
  networkReload,
} from "../network_connect.ts";
import { networkPrune, type NetworkRmOptions } from "../network_rm.ts";
import { networkUpdate, type NetworkUpdateOptions } from "../network_update.ts";
import {
  networkCreate,
  type NetworkCreateOptions,
  networkExists,
  type NetworkInfo,
  networkInspect,
  networks,
} from "../networks.ts";
import { type Abortable, type Caller, unlessAborted } from "./caller.ts";

export class Networks {
  readonly #caller: Caller;

  /** @internal */
  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Makes a network, without a name one that is called as its bridge, and gives its name. */
  create(name?: string, { signal, ...options }: NetworkCreateOptions & Abortable = {}): Promise<string> {
    return unlessAborted(signal, () => networkCreate(this.#caller.engine, name, options));
  }

  list({ signal }: Abortable = {}): Promise<NetworkInfo[]> {
    return unlessAborted(signal, () => networks(this.#caller.engine));
  }

  /** Throws NotFoundError where there is none. */
  inspect(name: string, { signal }: Abortable = {}): Promise<NetworkInfo> {
    return unlessAborted(signal, () => networkInspect(this.#caller.engine, name));
  }

  exists(name: string, { signal }: Abortable = {}): Promise<boolean> {
    return unlessAborted(signal, () => networkExists(this.#caller.engine, name));
  }

  /** Puts a container on one more network; where it runs, at once. */
  async connect(
    name: string,
    container: string,
    { signal, ...options }: NetworkConnectOptions & Abortable = {},
  ): Promise<void> {
    await unlessAborted(signal, () => networkConnect(this.#caller.engine, name, container, options));
  }

  async disconnect(
    name: string,
    container: string,
    { signal, force }: { force?: boolean } & Abortable = {},
  ): Promise<void> {
    await unlessAborted(signal, () => networkDisconnect(this.#caller.engine, name, container, { force }));
  }

  /** Makes the interfaces of a running container again. */
  async reload(container: string, { signal }: Abortable = {}): Promise<void> {
    await unlessAborted(signal, () => networkReload(this.#caller.engine, container));
  }

  async update(name: string, { signal, ...options }: NetworkUpdateOptions & Abortable): Promise<void> {
    await unlessAborted(signal, () => networkUpdate(this.#caller.engine, name, options));
  }

  async remove(name: string, { signal, ...options }: NetworkRmOptions & Abortable = {}): Promise<void> {
    await this.#caller.call("networkRm", [name, options], { signal });
  }

  /** Removes those that no container is on, and gives their names. */
  prune({ signal }: Abortable = {}): Promise<string[]> {
    return unlessAborted(signal, () => networkPrune(this.#caller.engine));
  }
}

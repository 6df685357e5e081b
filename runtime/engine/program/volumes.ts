/** The named volumes, as a program holds them. */

import { volumeRename } from "../volume_rename.ts";
import type { VolumeRmOptions } from "../volume_rm.ts";
import {
  type VolumeCreateOptions,
  volumeExists,
  type VolumeInfo,
  volumeInspect,
  volumes,
} from "../volumes.ts";
import { type Abortable, type Caller, unlessAborted } from "./caller.ts";

export class Volumes {
  readonly #caller: Caller;

  /** @internal */
  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Makes a volume, without a name one of 64 hex digits, and gives its name. */
  create(name?: string, { signal, ...options }: VolumeCreateOptions & Abortable = {}): Promise<string> {
    return this.#caller.call<string>("volumeCreate", [name ?? null, options], { signal });
  }

  list({ signal }: Abortable = {}): Promise<VolumeInfo[]> {
    return unlessAborted(signal, () => volumes(this.#caller.engine));
  }

  /** Throws NotFoundError where there is none. */
  inspect(name: string, { signal }: Abortable = {}): Promise<VolumeInfo> {
    return unlessAborted(signal, () => volumeInspect(this.#caller.engine, name));
  }

  exists(name: string, { signal }: Abortable = {}): Promise<boolean> {
    return unlessAborted(signal, () => volumeExists(this.#caller.engine, name));
  }

  async rename(name: string, newName: string, { signal }: Abortable = {}): Promise<void> {
    await unlessAborted(signal, () => volumeRename(this.#caller.engine, name, newName));
  }

  async remove(name: string, { signal, ...options }: VolumeRmOptions & Abortable = {}): Promise<void> {
    await this.#caller.call("volumeRm", [name, options], { signal });
  }
}

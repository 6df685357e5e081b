/** The named volumes, as a program holds them. */

import { fromRemoteError, type RemoteError } from "../remote.ts";
import type { VolumeCloneOptions } from "../volume_clone.ts";
import { type SnapshotInfo, snapshotsIn } from "../volume_snapshots.ts";
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

  /** The folder with the content of a volume; a plugin mounts it until `unmount`. */
  mount(name: string, { signal }: Abortable = {}): Promise<string> {
    return this.#caller.call<string>("volumeMount", [name], { signal });
  }

  async unmount(name: string, { signal }: Abortable = {}): Promise<void> {
    await this.#caller.call("volumeUnmount", [name], { signal });
  }

  /** Takes the volumes that plugins have, forgets those that are gone there; `errors` are of plugins that do not answer. */
  async reload({ signal }: Abortable = {}): Promise<{ added: string[]; removed: string[]; errors: Error[] }> {
    const { errors, ...changed } = await this.#caller.call<
      { added: string[]; removed: string[]; errors: RemoteError[] }
    >("volumeReload", [], { signal });
    return { ...changed, errors: errors.map(fromRemoteError) };
  }

  /** Makes the volume `name` with what `source`, a volume or `VOLUME@SNAPSHOT`, holds. */
  clone(
    source: string,
    name: string,
    { signal, ...options }: Omit<VolumeCloneOptions, "signal"> & Abortable = {},
  ): Promise<string> {
    return this.#caller.call<string>("volumeClone", [source, name, options], { signal });
  }

  /** Keeps what the volume holds now, by default under the time, and gives `VOLUME@NAME`. */
  snapshot(name: string, { signal }: Abortable = {}): Promise<string> {
    return this.#caller.call<string>("volumeSnapshot", [name], { signal });
  }

  /** Snapshots of one volume or of all, by time. */
  snapshots(name?: string, { signal }: Abortable = {}): Promise<SnapshotInfo[]> {
    return unlessAborted(signal, async () => {
      const found = name === undefined
        ? await volumes(this.#caller.engine)
        : [await volumeInspect(this.#caller.engine, name)];
      return found.flatMap(({ Name }) => snapshotsIn(this.#caller.engine, Name));
    });
  }

  /** Goes back to a snapshot, `VOLUME@NAME`. Throws ConflictError where a container runs with the volume. */
  restore(snapshot: string, { signal }: Abortable = {}): Promise<string> {
    return this.#caller.call<string>("volumeRestore", [snapshot], { signal });
  }

  async removeSnapshot(snapshot: string, { signal }: Abortable = {}): Promise<void> {
    await this.#caller.call("volumeSnapshotRm", [snapshot], { signal });
  }

  /** Writes what the volume, or a snapshot, holds to the tar `path`. */
  async export(name: string, path: string, { signal }: Abortable = {}): Promise<void> {
    await this.#caller.call("volumeExport", [name, path], { signal });
  }

  /** Unpacks the tar `path` over what the volume holds, all or nothing. */
  async import(name: string, path: string, { signal }: Abortable = {}): Promise<void> {
    await this.#caller.call("volumeImport", [name, path], { signal });
  }

  async remove(name: string, { signal, ...options }: VolumeRmOptions & Abortable = {}): Promise<void> {
    await this.#caller.call("volumeRm", [name, options], { signal });
  }
}

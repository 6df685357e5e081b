/** Manifest lists, as a program holds them: images for several platforms under one name. */

import type { ManifestAddOptions } from "../manifest_add.ts";
import type { ManifestAnnotateOptions } from "../manifest_annotate.ts";
import type { ManifestArtifactOptions } from "../manifest_artifact.ts";
import type { ManifestCreateOptions } from "../manifest_create.ts";
import type { ManifestInspectOptions } from "../manifest_inspect.ts";
import type { PushOptions } from "../push.ts";
import { fromRemoteError, type RemoteError } from "../remote.ts";
import type { Removal, RmiOptions } from "../rmi.ts";
import type { Abortable, Caller } from "./caller.ts";

export class Manifests {
  readonly #caller: Caller;

  /** @internal */
  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Makes a list, of these images where some are named, and gives its id. */
  create(
    name: string,
    images: readonly string[] = [],
    { signal, ...options }: ManifestCreateOptions = {},
  ): Promise<string> {
    return this.#caller.call<string>("manifestCreate", [name, images, options], { signal });
  }

  /** Adds images of the store or of registries; one that is on the list already is replaced. Gives the list's id. */
  add(
    list: string,
    images: readonly string[],
    { signal, ...options }: ManifestAddOptions = {},
  ): Promise<string> {
    return this.#caller.call<string>("manifestAdd", [list, images, options], { signal });
  }

  /** Adds an artifact that is made of files. */
  addFiles(
    list: string,
    paths: readonly string[],
    { signal, ...options }: ManifestArtifactOptions = {},
  ): Promise<string> {
    return this.#caller.call<string>("manifestAddFiles", [list, paths, options], { signal });
  }

  /** Says more of one entry, named by its image or digest; without `entry` of the list itself. */
  annotate(
    list: string,
    entry: string | undefined,
    { signal, ...options }: ManifestAnnotateOptions,
  ): Promise<string> {
    return this.#caller.call<string>("manifestAnnotate", [list, entry ?? null, options], { signal });
  }

  /** The document of a list of the store, or of what a registry has under that name. */
  inspect(
    name: string,
    { signal, ...options }: ManifestInspectOptions = {},
  ): Promise<{ document: unknown; isList: boolean }> {
    return this.#caller.call("manifestInspect", [name, options], { signal });
  }

  /** @throws {ConflictError} where an image has the name */
  exists(name: string, { signal }: Abortable = {}): Promise<boolean> {
    return this.#caller.call<boolean>("manifestExists", [name], { signal });
  }

  /** Pushes the list, with `all` its images as well, and gives its digest. The default destination is its name. */
  async push(
    list: string,
    destination?: string,
    { signal, progress, ...options }: PushOptions = {},
  ): Promise<string> {
    const args = [list, destination ?? null, options];
    return (await this.#caller.call<{ digest: string }>("manifestPush", args, { signal, progress })).digest;
  }

  /** Takes an entry off the list, named by its image or digest; the image stays. Gives the list's id. */
  removeEntry(list: string, entry: string, { signal }: Abortable = {}): Promise<string> {
    return this.#caller.call<string>("manifestRemove", [list, entry], { signal });
  }

  /** Removes lists; throws the first reason why one could not be removed. */
  async remove(
    lists: readonly string[],
    { signal, ...options }: Pick<RmiOptions, "ignore"> & Abortable = {},
  ): Promise<Removal> {
    const { errors, ...removed } = await this.#caller.call<
      Removal & { errors: RemoteError[] }
    >("manifestRm", [lists, options], { signal });
    if (errors[0]) throw fromRemoteError(errors[0]);
    return removed;
  }
}

/** Artifacts, as a program holds them: files that are kept and moved as images are. */

import type { ArtifactAddOptions } from "../artifact_add.ts";
import type { ArtifactExtractOptions } from "../artifact_extract.ts";
import type { ArtifactTransferOptions } from "../artifact_pull.ts";
import type { ArtifactDocument, ArtifactListEntry, ArtifactRmOptions } from "../artifacts.ts";
import { fromRemoteError, type RemoteError } from "../remote.ts";
import type { Abortable, Caller } from "./caller.ts";

export class Artifacts {
  readonly #caller: Caller;

  /** @internal */
  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Makes an artifact of files, or adds them to one, and gives the digest of its manifest. */
  add(
    name: string,
    paths: readonly string[],
    { signal, ...options }: ArtifactAddOptions = {},
  ): Promise<string> {
    return this.#caller.call<string>("artifactAdd", [name, paths, options], { signal });
  }

  /** Writes the files of an artifact below the folder `target`, or its only one as the file `target`. */
  async extract(
    name: string,
    target: string,
    { signal, ...options }: ArtifactExtractOptions & Abortable = {},
  ): Promise<void> {
    await this.#caller.call("artifactExtract", [name, target, options], { signal });
  }

  /** By name. */
  list({ signal }: Abortable = {}): Promise<ArtifactListEntry[]> {
    return this.#caller.call<ArtifactListEntry[]>("artifactLs", [], { signal });
  }

  /** Throws NotFoundError where there is none. */
  inspect(name: string, { signal }: Abortable = {}): Promise<ArtifactDocument> {
    return this.#caller.call<ArtifactDocument>("artifactInspect", [name], { signal });
  }

  /** Gives the digest of its manifest. */
  pull(name: string, { signal, progress, ...options }: ArtifactTransferOptions = {}): Promise<string> {
    return this.#caller.call<string>("artifactPull", [name, options], { signal, progress });
  }

  /** The default destination is its name. Gives the digest that it has there. */
  push(
    name: string,
    destination?: string,
    { signal, progress, ...options }: ArtifactTransferOptions = {},
  ): Promise<string> {
    return this.#caller.call<string>("artifactPush", [name, destination ?? null, options], {
      signal,
      progress,
    });
  }

  /** Gives the digests of what is gone; throws the first reason why one could not be removed. */
  async remove(
    names: readonly string[],
    { signal, ...options }: ArtifactRmOptions & Abortable = {},
  ): Promise<string[]> {
    const { removed, errors } = await this.#caller.call<{
      removed: string[];
      errors: RemoteError[];
    }>("artifactRm", [names, options], { signal });
    if (errors[0]) throw fromRemoteError(errors[0]);
    return removed;
  }
}

/**
 * What a build needs of the engine, and cannot import: images by name, and containers. The engine gives them when it
 * starts a build.
 */

import type { PullPolicy } from "../container/options.ts";
import type { NamespaceContext } from "../namespaces/context.ts";
import type { PullProgress } from "../registry/pull.ts";
import type { Platform } from "../spec/image.ts";
import type { Database } from "../state/db.ts";
import type { Folders } from "../state/folders.ts";
import type { ContextSource } from "./options.ts";
import type { BaseImage, BuiltLayer, RunMount, RunStep, Snapshot, SourceTree, StepContext } from "./step.ts";

export interface BuildServices {
  readonly folders: Folders;
  readonly namespaces: NamespaceContext;
  /** Forces a driver instead of the first that works. */
  readonly storageDriver?: string;
  database(): Promise<Database>;
  /** Finds or pulls an image, as the policy says. Throws NotFoundError, RegistryError, UnsupportedError. */
  resolveImage(reference: string, options: ResolveImageOptions): Promise<BaseImage>;
  /** The image of an `oci-layout://` context, brought into the store. */
  loadLayout(
    source: ContextSource & { kind: "oci-layout" },
    options: ResolveImageOptions,
  ): Promise<BaseImage>;
  /** The socket of `--ssh default` for git, which closes it; undefined where that was not given. */
  gitAgent?(): Promise<{ path: string } & Disposable | undefined>;
  /** Whether the build allows the devices of a step, which is asked of a cached one as well. @throws {BuildError} */
  checkDevices?(step: RunStep): Promise<void>;
  /**
   * Runs the command in a container of its own over `base`. What it changed is the layer; null where that is nothing.
   *
   * @throws {BuildError} with the exit code and the last output where the command fails
   */
  runStep(
    step: RunStep,
    base: Snapshot,
    mounts: SolvedMount[],
    context: StepContext,
  ): Promise<BuiltLayer | null>;
}

export interface ResolveImageOptions {
  platform: Platform;
  policy: PullPolicy;
  signal?: AbortSignal;
  progress?: (event: PullProgress) => void;
}

/** A mount whose files are there; `tree` undefined is an empty folder. */
export type SolvedMount =
  | Omit<RunMount & { type: "bind" }, "from"> & { tree?: SourceTree }
  | Omit<RunMount & { type: "cache" }, "from"> & { tree?: SourceTree }
  | RunMount & { type: "tmpfs" | "secret" | "ssh" };

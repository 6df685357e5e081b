/** COPY, ADD and WORKDIR: each makes a root of what it stands on, changes it in a forked child, and keeps the layer. */

import { ConflictError } from "../../errors.ts";
import type { Skipped } from "../../files/copy_entries.ts";
import { runFileTask } from "../../files/task.ts";
import { captureUpper } from "../../storage/capture.ts";
import { warmUp } from "../../storage/extract_task.ts";
import { ownersFile } from "../../storage/layers.ts";
import type { RootfsPlan } from "../../monitor/plan.ts";
import { openFamilies } from "../../../ffi/libc.ts";
import { type PreparedTree, prepareSnapshot, prepareTree } from "../context/source_tree.ts";
import type { BuildServices } from "../services.ts";
import type { BuiltLayer, CopyStep, MkdirStep, Snapshot, SourceTree, StepContext } from "../step.ts";
import { type CopyTaskSource, runCopy, runMkdir } from "./copy_task.ts";
import { parseModeChange } from "./chmod.ts";

type Storage = Pick<BuildServices, "folders" | "namespaces" | "storageDriver">;

/** A source whose tree is there. */
export interface SolvedSource {
  tree: SourceTree;
  /** A path or pattern below its root. */
  pattern: string;
}

/**
 * Performs a COPY or ADD over `base`; with `--link` over nothing, and `base` only says what names mean.
 *
 * @returns the layer, or null where nothing has changed
 * @throws {NotFoundError} for a source that is not there; ConflictError, InvalidArgumentError, HostError
 */
export async function performCopy(
  services: Storage,
  step: CopyStep,
  base: Snapshot,
  sources: readonly SolvedSource[],
  context: StepContext,
): Promise<BuiltLayer | null> {
  if (step.chmod !== undefined) parseModeChange(step.chmod);
  if (sources.length > 1 && !step.destination.endsWith("/")) {
    const word = step.add ? "ADD" : "COPY";
    throw new ConflictError(
      `When using ${word} with more than one source file, the destination must be a directory and end with a /`,
    );
  }
  await using trees = new AsyncDisposableStack();
  const prepared = new Map<SourceTree, PreparedTree>();
  const solved: CopyTaskSource[] = [];
  for (const { tree, pattern } of sources) {
    let ready = prepared.get(tree);
    if (ready === undefined) prepared.set(tree, ready = trees.use(await prepareTree(services, tree)));
    const unpack = step.unpack ?? (step.add && tree.kind === "folder");
    solved.push({ tree: ready, pattern, unpack, keepsOwners: tree.kind === "snapshot" });
  }
  const needsNames = step.link && /[^0-9:]/.test(step.chown ?? "") && base.layers.length > 0;
  const accounts = needsNames
    ? trees.use(await prepareTree(services, { kind: "snapshot", snapshot: base }))
    : undefined;
  const { destination, chown, chmod, parents, exclude } = step;
  return await change(services, step.link ? { layers: [] } : base, context, (rootfs) => {
    const skipped = runCopy({
      rootfs,
      sources: solved,
      destination,
      chown,
      chmod,
      parents,
      exclude,
      isRootless: services.namespaces.isRootless,
      ownersFile: recordedOwners(services, rootfs),
      accounts: accounts?.kind === "snapshot" ? accounts : undefined,
    });
    return skipped;
  });
}

/** Performs a WORKDIR; null where the folder is there. */
export async function performMkdir(
  services: Storage,
  step: MkdirStep,
  base: Snapshot,
  context: StepContext,
): Promise<BuiltLayer | null> {
  const { path, user } = step;
  return await change(services, base, context, (rootfs) => {
    runMkdir({ rootfs, path, user, ownersFile: recordedOwners(services, rootfs) });
    return { count: 0, examples: [] };
  });
}

/** Makes a root, lets a child change it, and captures what has changed. */
async function change(
  services: Storage,
  base: Snapshot,
  { signal, times, keepBlob, log }: StepContext,
  work: (rootfs: RootfsPlan) => Skipped,
): Promise<BuiltLayer | null> {
  signal.throwIfAborted();
  const { rootfs, dispose } = await prepareSnapshot(services, base);
  try {
    openFamilies("mount", "namespaces", "spawn", "poll", "memory");
    warmUp();
    const { count, examples } = await runFileTask(services.namespaces, () => work(rootfs), signal);
    if (count > 0) {
      const more = count > examples.length ? `, and ${count - examples.length} more` : "";
      log(2, new TextEncoder().encode(`left out: ${examples.join(", ")}${more}\n`));
    }
    return await captureUpper(services, { plan: rootfs, layers: base.layers }, {
      times,
      keepBlob,
      omit: [],
      signal,
    });
  } finally {
    await dispose();
  }
}

/** Where owners are written down that a single-id map cannot give. */
function recordedOwners({ namespaces }: Storage, rootfs: RootfsPlan): string | undefined {
  if (!namespaces.maps.isSingle) return undefined;
  return rootfs.kind === "overlay" || rootfs.kind === "fuse-overlayfs"
    ? ownersFile(rootfs.upper)
    : rootfs.kind === "directory"
    ? ownersFile(rootfs.source)
    : undefined;
}

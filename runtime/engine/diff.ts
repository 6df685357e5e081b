/** `diff`: what a container has changed of its image's files. */

import { EACCES, EPERM, isErrno } from "../../ffi/errno.ts";
import { NotFoundError, UnsupportedError } from "../errors.ts";
import type { Change, ChangeSource } from "../files/changes.ts";
import type { RootfsPlan } from "../monitor/plan.ts";
import { layerForm, layerPath } from "../storage/layers.ts";
import type { Digest } from "../spec/digest.ts";
import { prepareRoot } from "./container_root.ts";
import { loadConfig, observe } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { nestedMaps } from "./nested_maps.ts";

export type { Change, ChangeKind } from "../files/changes.ts";

/** Changes in the order of paths. @throws {NotFoundError} where there is no such container */
export async function diff(engine: Engine, text: string, signal?: AbortSignal): Promise<Change[]> {
  const { row } = await observe(engine, text);
  const config = loadConfig(engine, row.id);
  const nested = nestedMaps(engine, config);
  const plan = await prepareRoot(engine, config, engine.containerDir(row.id), nested);
  const { root } = config;
  if (root.kind !== "image") {
    const what = root.kind === "host" ? "this machine's own folders" : "a folder of its own";
    throw new UnsupportedError(`compare container "${text}": its root is ${what}, not an image`);
  }
  const form = layerForm(engine.namespaces);
  const layers = root.diffIds.toReversed().map((id) => layerPath(engine.folders, id as Digest, form));
  const source = sourceOf(plan, layers, nested !== undefined);
  if (source === undefined) throw new NotFoundError("file", plan.target);
  const { listChanges } = await import("../files/changes.ts");
  try {
    return listChanges(source);
  } catch (error) {
    // A folder of another id of the container, closed to the user but not to the root of the user's namespace.
    if (!isErrno(error, EACCES, EPERM)) throw error;
  }
  const { runFileTask } = await import("../files/task.ts");
  return await runFileTask(engine.namespaces, () => listChanges(source), signal);
}

function sourceOf(plan: RootfsPlan, layers: string[], ownersDiffer: boolean): ChangeSource | undefined {
  switch (plan.kind) {
    case "overlay":
    case "fuse-overlayfs":
      return {
        kind: "upper",
        path: plan.upper,
        layers: plan.lower,
        ownersDiffer: plan.kind === "overlay" && plan.idMapped !== undefined,
      };
    case "directory":
      return { kind: "copy", path: plan.source, layers, ownersDiffer };
  }
}

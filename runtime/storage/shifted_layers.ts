/**
 * Layers for a nested user namespace (`--userns keep-id`, `nomap`): copies whose ids are the ones that stand
 * for the image's there. The kernel refuses idmapped mounts to an ordinary user, so the ids on disk must fit.
 */

import { NotFoundError } from "../errors.ts";
import { type Digest, digestHex } from "../spec/digest.ts";
import type { IdMapping } from "../spec/runtime.ts";
import { close, openat, syncfs } from "../../ffi/file.ts";
import { O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../../ffi/constants/fcntl.ts";
import { copyLayer, type NestedMaps } from "./layer_copy.ts";
import { hasLayer, type LayerForm, layerForm, type StorageContext } from "./layers.ts";
import { runInNamespace } from "./namespace_task.ts";
import { makeTree, openWork, publish, tidy } from "./work_folder.ts";

/** The form's name holds the map itself, so that two maps never share a copy. */
export function shiftedForm(base: LayerForm, maps: NestedMaps): LayerForm {
  return `${base as "full"}-u${mapName(maps.uid)}-g${mapName(maps.gid)}`;
}

function mapName(mappings: readonly IdMapping[]): string {
  return mappings.map((one) => `${one.containerID}.${one.hostID}.${one.size}`).join("_");
}

/** Makes the shifted form of each layer where missing; gives the form. */
export async function ensureShiftedLayers(
  context: StorageContext,
  diffIds: readonly Digest[],
  maps: NestedMaps,
): Promise<LayerForm> {
  const base = layerForm(context.namespaces);
  const form = shiftedForm(base, maps);
  const missing = diffIds.filter((diffId) => !hasLayer(context.folders, diffId, form));
  if (missing.length === 0) return form;
  for (const diffId of missing) {
    if (!hasLayer(context.folders, diffId, base)) {
      throw new NotFoundError("file", diffId, { message: `shift layer ${diffId}: it is not unpacked` });
    }
  }
  await runInNamespace(context, "shift layer", () => {
    for (const diffId of missing) {
      shiftBlocking(`${context.folders.layers}/${digestHex(diffId)}`, base, form, maps);
    }
  });
  return form;
}

function shiftBlocking(layerDir: string, base: LayerForm, form: LayerForm, maps: NestedMaps): void {
  const { layerFd, work } = openWork(layerDir, form);
  try {
    const source = openat(layerFd, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const target = makeTree(work.fd);
    copyLayer(source, target, { shift: maps, marks: "keep" });
    syncfs(target);
    publish(work.fd, layerFd, form);
    close(source);
    close(target);
  } finally {
    tidy(layerDir, layerFd, work.name);
    close(work.fd);
    close(layerFd);
  }
}

/** `image tree`: the layers of an image, and what else of the store is made of them. */

import { createHash } from "node:crypto";
import { getPlatformImage } from "../image/list.ts";
import type { Digest } from "../spec/digest.ts";
import { listImages, listLayers, listNames } from "../state/images.ts";
import { layerBytes, layerForm } from "../storage/layers.ts";
import type { Engine } from "./engine.ts";

/** A layer on top of certain others. */
export interface TreeLayer {
  /** Of the whole stack, 64 hex digits, as podman's storage counts it. */
  id: string;
  /** Bytes unpacked. */
  size: number;
  /** Names of the images that end with it (their short id where they have none). */
  topLayerOf: string[];
  /** What lies on it. */
  children: TreeLayer[];
}

export interface ImageTree {
  id: string;
  names: string[];
  size: number;
  /** Lowest first. */
  layers: TreeLayer[];
}

/** The layers of one image, each with all that lies on it in any image of the store. */
export async function imageTree(engine: Engine, text: string): Promise<ImageTree> {
  const db = await engine.database();
  const { image } = getPlatformImage(db, text);
  const form = layerForm(engine.namespaces);
  const byId = new Map<string, TreeLayer>();
  let layers: TreeLayer[] = [];
  for (const { id } of listImages(db)) {
    const stack: TreeLayer[] = [];
    for (const { diffId, size } of listLayers(db, id)) {
      const below = stack.at(-1);
      const stackId = idOf(below?.id, diffId);
      let layer = byId.get(stackId);
      if (layer === undefined) {
        const bytes = layerBytes(engine.folders, diffId as Digest, form) ?? size;
        byId.set(stackId, layer = { id: stackId, size: bytes, topLayerOf: [], children: [] });
        below?.children.push(layer);
      }
      stack.push(layer);
    }
    const names = listNames(db, id);
    stack.at(-1)?.topLayerOf.push(...names.length > 0 ? names : [id.slice(0, 12)]);
    if (id === image.id) layers = stack;
  }
  return { id: image.id, names: listNames(db, image.id), size: image.size, layers };
}

/** @see containers/image, storage: layer ids are digests of the ids below */
function idOf(below: string | undefined, diffId: string): string {
  const hex = diffId.slice(diffId.indexOf(":") + 1);
  return below === undefined ? hex : createHash("sha256").update(`${below}+${hex}`).digest("hex");
}

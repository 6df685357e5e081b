/** `history`: the steps that an image was made by, the latest first. */

import { getPlatformImage } from "../image/list.ts";
import { parsePlatform } from "../image/platform.ts";
import type { Digest } from "../spec/digest.ts";
import type { HistoryEntry, ImageConfig } from "../spec/image.ts";
import { type ImageLayerRow, listLayers, listNames } from "../state/images.ts";
import { layerBytes, layerForm } from "../storage/layers.ts";
import type { Engine } from "./engine.ts";

/** What a step without a time has. */
const NO_TIME = "0001-01-01T00:00:00Z";

export interface HistoryStep {
  /** Of the image for the latest step; what the others had is not known: `<missing>`. */
  id: string;
  /** ISO 8601. */
  created: string;
  createdBy: string;
  /** Bytes that the step's layer takes unpacked. */
  size: number;
  comment: string;
  /** Names of the image, for its latest step. */
  tags: string[];
}

/** An image without a history has a step for each layer. */
export async function history(
  engine: Engine,
  text: string,
  { platform }: { platform?: string } = {},
): Promise<HistoryStep[]> {
  const db = await engine.database();
  const { image } = getPlatformImage(db, text, platform === undefined ? undefined : parsePlatform(platform));
  const config: ImageConfig = JSON.parse(image.config);
  const layers = listLayers(db, image.id);
  const form = layerForm(engine.namespaces);
  const sizeOf = (layer: ImageLayerRow | undefined) =>
    layer === undefined ? 0 : layerBytes(engine.folders, layer.diffId as Digest, form) ?? layer.size;
  let next = 0;
  const entries: HistoryEntry[] = config.history ?? layers.map(() => ({}));
  const steps = entries.map((entry): HistoryStep => ({
    id: "<missing>",
    created: entry.created ?? NO_TIME,
    createdBy: entry.created_by ?? "",
    size: entry.empty_layer ? 0 : sizeOf(layers[next++]),
    comment: entry.comment ?? "",
    tags: [],
  })).reverse();
  if (steps[0] !== undefined) Object.assign(steps[0], { id: image.id, tags: listNames(db, image.id) });
  return steps;
}

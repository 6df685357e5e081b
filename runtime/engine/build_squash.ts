/** `--squash`, `--squash-all`: the layers of a build as one. */

import type { BuildOptions } from "../build/options.ts";
import type { BuiltImage } from "../build/solve.ts";
import type { ImageConfig } from "../spec/image.ts";
import { squashLayers } from "../storage/squash.ts";
import type { Engine } from "./engine.ts";

/**
 * Makes one layer of those that the build has added, or with `all` of those of the base image as well. The history
 * keeps its steps; the last of those that had a layer has the one.
 */
export async function squashImage(
  engine: Engine,
  image: BuiltImage,
  which: "new" | "all",
  { timestamp, sourceDateEpoch }: Pick<BuildOptions, "timestamp" | "sourceDateEpoch">,
  signal: AbortSignal,
): Promise<BuiltImage> {
  const { layers, config, base } = image;
  const kept = which === "all" ? 0 : base?.snapshot.layers.length ?? 0;
  if (layers.length - kept < 2) return image;
  const times = timestamp !== undefined
    ? { seconds: timestamp, apply: "all" as const }
    : sourceDateEpoch !== undefined
    ? { seconds: sourceDateEpoch, apply: "later" as const }
    : undefined;
  const one = await squashLayers(engine, layers, { times, keepBlob: true, signal }, kept);
  const squashed = one === null ? layers.slice(0, kept) : [...layers.slice(0, kept), one];
  return {
    ...image,
    layers: squashed,
    config: {
      ...config,
      rootfs: { type: "layers", diff_ids: squashed.map(({ diffId }) => diffId) },
      ...(config.history === undefined ? {} : { history: squashHistory(config.history, squashed.length) }),
    },
  };
}

/** As many steps with a layer as there are layers: the first ones, and the last. Pure. */
export function squashHistory(
  history: NonNullable<ImageConfig["history"]>,
  layers: number,
): NonNullable<ImageConfig["history"]> {
  const last = history.findLastIndex(({ empty_layer }) => !empty_layer);
  let left = layers - 1;
  return history.map((entry, at) => {
    if (entry.empty_layer || at === last && layers > 0) return entry;
    if (left-- > 0) return entry;
    return { ...entry, empty_layer: true };
  });
}

/**
 * The same image in a list once more for each way of packing, so that who cannot read zstd finds gzip, and who can does
 * not fetch more than it must.
 *
 * @see podman-manifest-push(1), --add-compression; containers/image, copy/multiple.go and OCI1InstanceAnnotationCompressionZSTD
 */

import type { Packing } from "../archive/packing.ts";
import { ZSTD_CHUNKED } from "../archive/toc/annotations.ts";
import type { SavedImage } from "../image/archive/saved_files.ts";
import type { ListEntry } from "../image/list.ts";
import { type Descriptor, LAYER_COMPRESSION, type Platform } from "../spec/image.ts";

type Format = Packing["format"];

/** An image of a list as it is pushed. */
export interface Instance {
  /** What the list says of it. */
  entry: ListEntry;
  image: SavedImage;
}

/** By this podman and others find, among those for their platform, the one to pull. */
const ZSTD_ANNOTATION = "io.github.containers.compression.zstd";

/** What the images of a list lack, in the list's order. @param isPackable false for what is no image */
export function missingVariants(
  instances: readonly Instance[],
  wanted: readonly Format[],
  isPackable: (instance: Instance) => boolean,
): { instance: Instance; format: Format }[] {
  const found = new Map<string, Set<Format>>();
  for (const { entry, image } of instances) {
    const key = keyOf(entry.platform);
    found.set(key, (found.get(key) ?? new Set()).add(formatOf(image)));
  }
  const missing: { instance: Instance; format: Format }[] = [];
  for (const instance of instances.filter(isPackable)) {
    const there = found.get(keyOf(instance.entry.platform))!;
    for (const format of wanted) {
      // what has a table is zstd as well
      if (there.has(format) || (format === "zstd" && there.has("zstd:chunked"))) continue;
      there.add(format);
      missing.push({ instance, format });
    }
  }
  return missing;
}

/** The entries with what tells zstd apart, those behind the others: who does not know it takes the first. */
export function markZstd(entries: readonly { entry: Descriptor; isZstd: boolean }[]): Descriptor[] {
  const marked = entries.map(({ entry, isZstd }) => {
    const { [ZSTD_ANNOTATION]: _, ...others } = entry.annotations ?? {};
    const annotations = isZstd ? { ...others, [ZSTD_ANNOTATION]: "true" } : others;
    return { ...entry, annotations: Object.keys(annotations).length === 0 ? undefined : annotations };
  });
  const isMarked = ({ annotations }: Descriptor) => Number(annotations?.[ZSTD_ANNOTATION] !== undefined);
  return marked.toSorted((one, other) => isMarked(one) - isMarked(other));
}

/** What most of an image is packed with. */
export function formatOf({ manifest, layers }: SavedImage): Format {
  const isZstd = layers.some(({ mediaType }) => LAYER_COMPRESSION[mediaType] === "zstd");
  if (!isZstd) return "gzip";
  const hasTables = manifest.layers.every(({ annotations }) => annotations?.[ZSTD_CHUNKED.manifestPosition]);
  return hasTables ? "zstd:chunked" : "zstd";
}

function keyOf(platform: Platform | undefined): string {
  const { os, architecture, variant, osVersion } = platform ?? {};
  return JSON.stringify([os, architecture, variant, osVersion]);
}

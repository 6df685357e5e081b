/** The config and manifest of what a build has made, written into the store, and an index over several. */

import type { BuildOptions } from "../build/options.ts";
import type { BuiltImage } from "../build/solve.ts";
import { InvalidArgumentError } from "../errors.ts";
import type { SavedImage } from "../image/archive/saved_files.ts";
import { formatPlatform, parsePlatform } from "../image/platform.ts";
import { writeImage } from "../image/write_image.ts";
import { type Digest, digestOf } from "../spec/digest.ts";
import { type Descriptor, type ImageConfig, type Index, MEDIA_TYPE, type Platform } from "../spec/image.ts";
import { layerBytes, layerForm } from "../storage/layers.ts";
import type { Engine } from "./engine.ts";

/** An image of a build whose documents are in the store. */
export interface WrittenImage {
  platform: Platform;
  config: ImageConfig;
  /** As `save` writes it; without names. */
  saved: SavedImage;
  /** Of its manifest, with annotations of `manifest-descriptor:`. */
  descriptor: Descriptor;
  /** Bytes unpacked. */
  size: number;
}

const ANNOTATION = /^(?:(manifest|index|manifest-descriptor|index-descriptor)(?:\[([\w./-]+)\])?:)?(.+)$/s;
type AnnotationLevel = "manifest" | "index" | "manifest-descriptor" | "index-descriptor";

/** Those of one level, of all platforms or this one. `--annotation index:KEY=value`, `manifest[linux/arm64]:KEY=value` */
export function annotationsOf(
  annotations: Readonly<Record<string, string>>,
  level: AnnotationLevel,
  platform?: Platform,
): Record<string, string> | undefined {
  const found: Record<string, string> = {};
  for (const [written, value] of Object.entries(annotations)) {
    const [, at = "manifest", only, key] = ANNOTATION.exec(written)!;
    if (at !== level) continue;
    const fits = only === undefined || platform !== undefined &&
        formatPlatform(parsePlatform(only)) === formatPlatform(platform);
    if (fits) found[key!] = value;
  }
  return Object.keys(found).length === 0 ? undefined : found;
}

/** Writes both documents of an image. */
export async function writeDocuments(
  engine: Engine,
  { platform, config, layers }: BuiltImage,
  options: Pick<BuildOptions, "format" | "annotations">,
): Promise<WrittenImage> {
  const { folders, namespaces } = engine;
  const { format, annotations } = options;
  if (format === "docker" && Object.keys(annotations).length > 0) {
    throw new InvalidArgumentError("annotate image: manifests of the docker format have no annotations", {
      hint: "use --format oci",
    });
  }
  const ofManifest = annotationsOf(annotations, "manifest", platform);
  const documents = await writeImage(folders, config, layers, format, ofManifest);
  const { manifest, manifestBytes } = documents;
  const ofDescriptor = annotationsOf(annotations, "manifest-descriptor", platform);
  const form = layerForm(namespaces);
  const sized = documents.layers.map((layer) => ({
    ...layer,
    archiveSize: layerBytes(folders, layer.diffId, form),
  }));
  return {
    platform,
    config,
    saved: {
      names: [],
      configDigest: documents.configDigest,
      configSize: documents.configSize,
      manifest,
      manifestBytes,
      manifestType: manifest.mediaType!,
      layers: sized,
    },
    descriptor: {
      mediaType: manifest.mediaType!,
      digest: documents.digest,
      size: manifestBytes.length,
      ...(ofDescriptor === undefined ? {} : { annotations: ofDescriptor }),
    },
    size: sized.reduce((sum, { archiveSize, size }) => sum + (archiveSize ?? size), 0),
  };
}

/** An index over manifests, as bytes with their digest. */
export async function indexOver(
  entries: readonly { descriptor: Descriptor; platform: Platform }[],
  { format, annotations }: Pick<BuildOptions, "format" | "annotations">,
): Promise<{ bytes: Uint8Array; descriptor: Descriptor }> {
  const ofIndex = annotationsOf(annotations, "index");
  const mediaType = format === "oci" ? MEDIA_TYPE.ociIndex : MEDIA_TYPE.dockerList;
  const index: Index = {
    schemaVersion: 2,
    mediaType,
    manifests: entries.map(({ descriptor, platform: { os, architecture, variant } }) => ({
      ...descriptor,
      platform: { architecture, os, ...(variant === undefined ? {} : { variant }) },
    })),
    ...(ofIndex === undefined ? {} : { annotations: ofIndex }),
  };
  const bytes = new TextEncoder().encode(JSON.stringify(index));
  const ofDescriptor = annotationsOf(annotations, "index-descriptor");
  const digest: Digest = await digestOf(bytes);
  return {
    bytes,
    descriptor: {
      mediaType,
      digest,
      size: bytes.length,
      ...(ofDescriptor === undefined ? {} : { annotations: ofDescriptor }),
    },
  };
}

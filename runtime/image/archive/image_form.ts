/** An image in another form: over layers that are packed otherwise, with a manifest of another dialect. */

import { compressionOf, type Packing } from "../../archive/packing.ts";
import { SkiffError } from "../../errors.ts";
import { LAYER_COMPRESSION, type Manifest, MEDIA_TYPE } from "../../spec/image.ts";
import { convertManifest, type Dialect, dialectOf, mediaTypeIn } from "../convert_manifest.ts";
import type { SavedImage } from "./saved_files.ts";

/** The image over layers in another form; its manifest stays to the byte where they are the same. */
export function withLayers(image: SavedImage, layers: SavedImage["layers"]): SavedImage {
  if (layers.every(({ digest }, at) => digest === image.layers[at]!.digest)) return { ...image, layers };
  const manifest = {
    ...image.manifest,
    layers: image.manifest.layers.map((before, at) => {
      const { mediaType, digest, size, annotations } = layers[at]!;
      return digest === before.digest ? before : { mediaType, digest, size, annotations };
    }),
  };
  const manifestBytes = new TextEncoder().encode(JSON.stringify(manifest));
  return { ...image, layers, manifest, manifestBytes };
}

/** What a layer of that dialect is called when it is packed so. */
export function packedMediaType(mediaType: string, packing: Packing): string {
  const isOci = mediaType.startsWith("application/vnd.oci.");
  if (compressionOf(packing) === "gzip") return isOci ? MEDIA_TYPE.ociLayerGzip : MEDIA_TYPE.dockerLayerGzip;
  return isOci ? MEDIA_TYPE.ociLayerZstd : MEDIA_TYPE.dockerLayerZstd;
}

/** The manifest in that dialect; the stored one, to the byte, where it is of it. */
export function convertedImage(image: SavedImage, wanted: Dialect | undefined): SavedImage {
  const own = dialectOf(image.manifestType);
  // Docker has no name for it that everybody reads
  const isZstd = image.layers.some(({ mediaType }) => LAYER_COMPRESSION[mediaType] === "zstd");
  if (wanted === "docker" && isZstd) {
    throw new SkiffError("push image: a v2s2 manifest has no layers packed with zstd", {
      hint: "use --format oci or --compression-format gzip",
    });
  }
  const dialect = wanted ?? (isZstd ? "oci" : own);
  if (dialect === own) return image;
  const manifest = convertManifest(image.manifest, dialect);
  return {
    ...image,
    manifest,
    manifestBytes: new TextEncoder().encode(JSON.stringify(manifest)),
    manifestType: manifest.mediaType ?? mediaTypeIn(dialect, MEDIA_TYPE.ociManifest),
    layers: image.layers.map((layer) => ({ ...layer, mediaType: mediaTypeIn(dialect, layer.mediaType) })),
  };
}

/** What a push is given of a manifest that is no image of the store: its blobs are sent as they are. */
export function manifestAsImage(
  manifest: Manifest,
  manifestBytes: Uint8Array,
  manifestType: string,
): SavedImage {
  const { config, layers } = manifest;
  return {
    names: [],
    configDigest: config.digest,
    configSize: config.size,
    manifest,
    manifestBytes,
    manifestType,
    // what is not unpacked has no other digest
    layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size, diffId: digest })),
  };
}

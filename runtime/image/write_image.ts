/** The documents of an image that was made here, of layers that are in the store. */

import { type Digest, digestOf } from "../spec/digest.ts";
import { type ImageConfig, type Manifest, MEDIA_TYPE } from "../spec/image.ts";
import type { Folders } from "../state/folders.ts";
import { writeBlob } from "../storage/blobs.ts";
import { type Dialect, mediaTypeIn } from "./convert_manifest.ts";
import type { ImageLayer } from "./manifest.ts";

export interface WrittenDocuments {
  /** Of the manifest. */
  digest: Digest;
  /** Of the config: the image's id. */
  configDigest: Digest;
  layers: ImageLayer[];
  configSize: number;
  manifest: Manifest;
  manifestBytes: Uint8Array<ArrayBuffer>;
}

/** Writes config and manifest into `blobs/`. @param annotations of the manifest; Docker's have none */
export async function writeImage(
  folders: Folders,
  config: ImageConfig,
  layers: readonly ImageLayer[],
  dialect: Dialect = "oci",
  annotations?: Record<string, string>,
): Promise<WrittenDocuments> {
  const encode = (document: unknown) => new TextEncoder().encode(JSON.stringify(document));
  const configBytes = encode(config);
  const configDigest = await digestOf(configBytes);
  const named = layers.map((layer) => ({ ...layer, mediaType: mediaTypeIn(dialect, layer.mediaType) }));
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: mediaTypeIn(dialect, MEDIA_TYPE.ociManifest),
    config: {
      mediaType: mediaTypeIn(dialect, MEDIA_TYPE.ociConfig),
      digest: configDigest,
      size: configBytes.length,
    },
    layers: named.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
    ...(annotations === undefined ? {} : { annotations }),
  };
  const manifestBytes = encode(manifest);
  // side by side: each waits for the disk
  const [digest] = await Promise.all([
    writeBlob(folders, manifestBytes),
    writeBlob(folders, configBytes, configDigest),
  ]);
  return { digest, configDigest, layers: named, configSize: configBytes.length, manifest, manifestBytes };
}

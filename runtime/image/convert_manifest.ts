/** A manifest in the other dialect: the same config and layers under the media types of OCI or of Docker. */

import { type Manifest, MEDIA_TYPE } from "../spec/image.ts";

export type Dialect = "oci" | "docker";

const PAIRS: readonly [oci: string, docker: string][] = [
  [MEDIA_TYPE.ociIndex, MEDIA_TYPE.dockerList],
  [MEDIA_TYPE.ociManifest, MEDIA_TYPE.dockerManifest],
  [MEDIA_TYPE.ociConfig, MEDIA_TYPE.dockerConfig],
  [MEDIA_TYPE.ociLayer, MEDIA_TYPE.dockerLayer],
  [MEDIA_TYPE.ociLayerGzip, MEDIA_TYPE.dockerLayerGzip],
  [MEDIA_TYPE.ociLayerZstd, MEDIA_TYPE.dockerLayerZstd],
];

/** What a media type is called in a dialect; one that is neither's stays. */
export function mediaTypeIn(dialect: Dialect, mediaType: string): string {
  const pair = PAIRS.find((names) => names.includes(mediaType));
  return pair === undefined ? mediaType : pair[dialect === "oci" ? 0 : 1];
}

/** The dialect of a manifest or index of that media type. */
export function dialectOf(mediaType: string): Dialect {
  return mediaType.startsWith("application/vnd.docker.") ? "docker" : "oci";
}

/** Docker's manifests have no annotations. Blobs, and with them the image's id, stay what they are. */
export function convertManifest(manifest: Manifest, dialect: Dialect): Manifest {
  const { annotations, config, layers } = manifest;
  const convert = <D extends { mediaType: string }>(descriptor: D): D => ({
    ...descriptor,
    mediaType: mediaTypeIn(dialect, descriptor.mediaType),
  });
  return {
    schemaVersion: 2,
    mediaType: dialect === "oci" ? MEDIA_TYPE.ociManifest : MEDIA_TYPE.dockerManifest,
    config: convert(config),
    layers: layers.map(convert),
    ...(dialect === "oci" && annotations !== undefined ? { annotations } : {}),
  };
}

/** An index as the bytes that a registry or a layout has of it. @see OCI image-spec image-index.md */

import { type Descriptor, type Index, MEDIA_TYPE, type Platform } from "../spec/image.ts";
import { dialectOf, mediaTypeIn } from "./convert_manifest.ts";

/** Docker's lists have neither annotations nor a subject. */
export function encodeIndex(index: Index, mediaType: string): Uint8Array<ArrayBuffer> {
  const isOci = dialectOf(mediaType) === "oci";
  const { artifactType, subject, annotations } = isOci ? index : {};
  return new TextEncoder().encode(JSON.stringify({
    schemaVersion: 2,
    mediaType,
    artifactType,
    manifests: index.manifests.map((entry) => describe(entry, isOci)),
    subject: subject && describe(subject, true),
    annotations,
  }));
}

/** The media type of an index over these: Docker's only where all are Docker's. */
export function indexTypeOver(manifests: readonly Descriptor[]): string {
  const isDocker = manifests.length > 0 &&
    manifests.every(({ mediaType }) => dialectOf(mediaType) === "docker");
  return mediaTypeIn(isDocker ? "docker" : "oci", MEDIA_TYPE.ociIndex);
}

/** A platform with the names that its fields have in documents. */
export function platformDocument({ os, architecture, variant, osVersion, osFeatures, features }: Platform) {
  return {
    architecture,
    os,
    "os.version": osVersion,
    "os.features": osFeatures,
    variant,
    features,
  };
}

function describe(
  { mediaType, digest, size, urls, annotations, platform, artifactType }: Descriptor,
  isOci: boolean,
) {
  return {
    mediaType,
    digest,
    size,
    urls,
    ...(isOci ? { annotations, artifactType } : {}),
    platform: platform && platformDocument(platform),
  };
}

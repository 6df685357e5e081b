/**
 * What a registry's answer to "the manifest" really is, and whether it is an image that may be unpacked.
 *
 * @see OCI image-spec manifest.md, image-index.md; distribution-spec, pulling manifests; CVE-2021-41190
 */
import { SkiffError, UnsupportedError, VerificationError } from "../errors.ts";
import {
  CONFIG_MEDIA_TYPES,
  type Descriptor,
  DOCUMENT_LIMITS,
  ENCRYPTED_SUFFIX,
  type ImageConfig,
  type Index,
  INDEX_MEDIA_TYPES,
  LAYER_COMPRESSION,
  type Manifest,
  MANIFEST_MEDIA_TYPES,
  MEDIA_TYPE,
} from "../spec/image.ts";
import { parseIndex, parseJson, parseManifest } from "../spec/image_parse.ts";
import type { Digest } from "../spec/digest.ts";
import { printable } from "../spec/printable.ts";

export type ManifestDocument =
  | { kind: "manifest"; mediaType: string; manifest: Manifest }
  | { kind: "index"; mediaType: string; index: Index };

/** What a manifest request accepts, best first. */
export const MANIFEST_ACCEPT: readonly string[] = [
  MEDIA_TYPE.ociIndex,
  MEDIA_TYPE.dockerList,
  MEDIA_TYPE.ociManifest,
  MEDIA_TYPE.dockerManifest,
];

/** Content types that say nothing; the document then has to. */
const VAGUE_CONTENT_TYPES: readonly string[] = [
  "",
  "application/json",
  "application/octet-stream",
  "binary/octet-stream",
  "text/plain",
];

const SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+(json|prettyjws)$/;

/**
 * Decides between manifest and index. Three witnesses must agree: the Content-Type header, the document's own
 * `mediaType`, and its fields.
 * @param contentType the header, or the media type of the descriptor that led here
 * @throws VerificationError where they disagree; UnsupportedError for schema 1
 */
export function parseManifestDocument(
  what: string,
  bytes: Uint8Array,
  contentType: string,
): ManifestDocument {
  if (bytes.length > DOCUMENT_LIMITS.manifestBytes) {
    throw new VerificationError(`read ${what}: it is larger than ${DOCUMENT_LIMITS.manifestBytes} bytes`);
  }
  const json = parseJson(what, bytes);
  if (json === null || typeof json !== "object" || Array.isArray(json)) {
    throw new VerificationError(`read ${what}: it is no JSON object`);
  }
  const fields = json as Record<string, unknown>;
  const header = contentType.split(";")[0]!.trim().toLowerCase();
  if (SCHEMA_1.test(header) || fields.schemaVersion === 1) {
    throw new UnsupportedError(`read ${what}: Docker schema 1 manifests are not supported`, {
      hint: "push the image again with a current client",
    });
  }
  const said = fields.mediaType;
  if (said !== undefined && said !== null && typeof said !== "string") {
    throw new VerificationError(`read ${what}: its mediaType is no text`);
  }
  const isVague = VAGUE_CONTENT_TYPES.includes(header);
  if (typeof said === "string" && said !== "" && !isVague && said.toLowerCase() !== header) {
    throw new VerificationError(
      `read ${what}: it was sent as ${printable(header, 100)} but says it is ${printable(said, 100)}`,
    );
  }
  const hasLayers = has(fields, "layers") || has(fields, "fsLayers") || has(fields, "config");
  const hasManifests = has(fields, "manifests");
  if (hasLayers && hasManifests) {
    throw new VerificationError(`read ${what}: it has both manifests and layers`);
  }
  const mediaType = isVague ? guessMediaType(said, hasManifests) : header;
  if (INDEX_MEDIA_TYPES.includes(mediaType)) {
    if (!hasManifests) {
      throw new VerificationError(`read ${what}: it is sent as an index but has no manifests`);
    }
    return { kind: "index", mediaType, index: parseIndex(what, json) };
  }
  if (MANIFEST_MEDIA_TYPES.includes(mediaType)) {
    if (!hasLayers) throw new VerificationError(`read ${what}: it is sent as a manifest but has no layers`);
    return { kind: "manifest", mediaType, manifest: parseManifest(what, json) };
  }
  throw new UnsupportedError(`read ${what}: ${printable(mediaType, 100)} is no image manifest`);
}

/** @throws where the manifest is no container image, or a layer is foreign or packed in an unknown way, encrypted or not. */
export function checkImageManifest(what: string, manifest: Manifest): void {
  const config = manifest.config;
  if (!CONFIG_MEDIA_TYPES.includes(config.mediaType)) {
    throw new UnsupportedError(
      `use ${what}: it is no container image (its config is ${printable(config.mediaType, 100)})`,
    );
  }
  if (config.urls !== undefined && config.urls.length > 0) {
    throw new VerificationError(`use ${what}: its config points to another place by urls`);
  }
  for (const layer of manifest.layers) {
    // Following such urls sent credentials to whoever wrote the manifest: CVE-2020-15157.
    if (layer.urls !== undefined && layer.urls.length > 0) {
      throw new VerificationError(`use ${what}: layer ${layer.digest} is foreign, to be had from other urls`);
    }
    if (!Object.hasOwn(LAYER_COMPRESSION, plainType(layer.mediaType))) {
      throw new UnsupportedError(
        `use ${what}: layer ${layer.digest} is of the unknown type ${printable(layer.mediaType, 100)}`,
      );
    }
  }
}

export function isEncrypted({ mediaType }: { mediaType: string }): boolean {
  return mediaType.endsWith(ENCRYPTED_SUFFIX);
}

/** What a layer is when it is decrypted. */
export function plainType(mediaType: string): string {
  return isEncrypted({ mediaType }) ? mediaType.slice(0, -ENCRYPTED_SUFFIX.length) : mediaType;
}

/** For who has no key. @throws {SkiffError} where a layer is encrypted */
export function refuseEncrypted(what: string, layers: readonly { mediaType: string }[]): void {
  if (!layers.some(isEncrypted)) return;
  throw new SkiffError(`use ${what}: its layers are encrypted: missing private key needed for decryption`, {
    hint: "name the file of the key: skiff pull --decryption-key FILE",
  });
}

/** A layer of an image, with the digest of its unpacked form. */
export interface ImageLayer {
  digest: Digest;
  size: number;
  mediaType: string;
  diffId: Digest;
  /** Of its descriptor, where the image comes from a registry: what they say of its table of contents. */
  annotations?: Record<string, string>;
}

/** Pairs the layers with the config's diff ids. @throws VerificationError where they do not match. */
export function pairLayers(what: string, manifest: Manifest, config: ImageConfig): ImageLayer[] {
  const ids = config.rootfs.diff_ids;
  if (ids.length !== manifest.layers.length) {
    throw new VerificationError(
      `use ${what}: it has ${manifest.layers.length} layers but its config names ${ids.length}`,
    );
  }
  const layers = manifest.layers.map((layer, i) => ({ ...pick(layer), diffId: ids[i]! }));
  const seen = new Map<Digest, ImageLayer>();
  for (const layer of layers) {
    const same = seen.get(layer.digest);
    if (same !== undefined && (same.size !== layer.size || same.diffId !== layer.diffId)) {
      throw new VerificationError(`use ${what}: layer ${layer.digest} is described in two ways`);
    }
    seen.set(layer.digest, layer);
  }
  return layers;
}

function pick(layer: Descriptor): Omit<ImageLayer, "diffId"> {
  const { digest, size, mediaType, annotations } = layer;
  return { digest, size, mediaType, ...(annotations === undefined ? {} : { annotations }) };
}

function has(fields: Record<string, unknown>, name: string): boolean {
  return Object.hasOwn(fields, name) && fields[name] !== null;
}

/** OCI documents may leave mediaType out; Docker's may not, so the fallback is OCI's. */
function guessMediaType(said: unknown, hasManifests: boolean): string {
  if (typeof said === "string" && said !== "") return said.toLowerCase();
  return hasManifests ? MEDIA_TYPE.ociIndex : MEDIA_TYPE.ociManifest;
}

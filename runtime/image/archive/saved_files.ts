/**
 * The files of an archive or folder that images are saved to, as data: what lies where, and what it is made of.
 *
 * @see OCI image-spec image-layout.md; docker-image-spec, combined image JSON + filesystem changeset format
 */

import { type Digest, digestAlgorithm, digestHex, digestOf } from "../../spec/digest.ts";
import {
  type Descriptor,
  type Index,
  LAYER_COMPRESSION,
  type Manifest,
  MEDIA_TYPE,
} from "../../spec/image.ts";
import { convertManifest, type Dialect, mediaTypeIn } from "../convert_manifest.ts";
import type { ImageLayer } from "../manifest.ts";

export type SaveFormat = "docker-archive" | "oci-archive" | "oci-dir" | "docker-dir";

/** An image of the store, with what its documents say. */
export interface SavedImage {
  /** In full; may be none. */
  names: string[];
  configDigest: Digest;
  configSize: number;
  manifest: Manifest;
  /** As they are in the store. */
  manifestBytes: Uint8Array;
  manifestType: string;
  layers: SavedLayer[];
  /** Of its descriptor in a layout. */
  annotations?: Record<string, string>;
}

export interface SavedLayer extends ImageLayer {
  /** Unpacked, where that is known. */
  archiveSize?: number;
  /** Where its bytes are, if not in the store. */
  path?: string;
  /** Of its descriptor, where it was packed anew. */
  annotations?: Record<string, string>;
}

export type SavedFile =
  | { name: string; kind: "bytes"; bytes: Uint8Array }
  /** A blob as it is; `path` where it is not one of the store. */
  | { name: string; kind: "blob"; digest: Digest; size: number; path?: string }
  /** A layer unpacked; its size may have to be found out. */
  | { name: string; kind: "unpacked"; digest: Digest; mediaType: string; diffId: Digest; size?: number };

/** Layers once each, then configs, then `manifest.json`; images that are the same are one with all the names. */
export function dockerArchiveFiles(images: readonly SavedImage[]): SavedFile[] {
  const files = new Map<string, SavedFile>();
  const items = new Map<Digest, { Config: string; RepoTags: string[]; Layers: string[] }>();
  for (const { names, configDigest, configSize, layers } of images) {
    const known = items.get(configDigest);
    if (known !== undefined) {
      known.RepoTags = [...new Set([...known.RepoTags, ...names])];
      continue;
    }
    for (const { digest, size, mediaType, diffId, archiveSize } of layers) {
      const name = layerName(diffId);
      const isPacked = LAYER_COMPRESSION[mediaType] !== "none";
      files.set(
        name,
        isPacked
          ? { name, kind: "unpacked", digest, mediaType, diffId, size: archiveSize }
          : { name, kind: "blob", digest, size },
      );
    }
    const config = `${digestHex(configDigest)}.json`;
    files.set(config, { name: config, kind: "blob", digest: configDigest, size: configSize });
    items.set(configDigest, {
      Config: config,
      RepoTags: names,
      Layers: layers.map(({ diffId }) => layerName(diffId)),
    });
  }
  return [...files.values(), json("manifest.json", [...items.values()])];
}

/** A layout; `before` is what an existing one has in its index, where images are added to it. */
export async function ociLayoutFiles(
  images: readonly SavedImage[],
  before: readonly Descriptor[] = [],
): Promise<SavedFile[]> {
  const files = new Map<string, SavedFile>();
  const added: Descriptor[] = [];
  for (const image of images) {
    const { bytes, digest } = await documentIn(image, "oci");
    for (const blob of blobsOf(image)) {
      const name = `blobs/${digestAlgorithm(blob.digest)}/${digestHex(blob.digest)}`;
      files.set(name, { name, kind: "blob", ...blob });
    }
    const name = `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
    files.set(name, { name, kind: "bytes", bytes });
    const { annotations } = image;
    const entry = { mediaType: MEDIA_TYPE.ociManifest, digest, size: bytes.length };
    added.push(
      ...image.names.map((name) => ({ ...entry, annotations: { ...annotations, [REF_NAME]: name } })),
    );
    if (image.names.length === 0) added.push({ ...entry, ...(annotations && { annotations }) });
  }
  const isReplaced = (old: Descriptor) =>
    added.some(({ digest, annotations }) =>
      annotations?.[REF_NAME] === undefined
        ? old.digest === digest && old.annotations?.[REF_NAME] === undefined
        : old.annotations?.[REF_NAME] === annotations[REF_NAME]
    );
  const index: Index = {
    schemaVersion: 2,
    manifests: [...before.filter((old) => !isReplaced(old)), ...added],
  };
  return [...files.values(), json("index.json", index), json("oci-layout", { imageLayoutVersion: "1.0.0" })];
}

const REF_NAME = "org.opencontainers.image.ref.name";

/** One image in a `dir:`, where a manifest may be of either dialect. */
export async function dockerDirFiles(
  image: SavedImage,
  dialect: Dialect = "docker",
): Promise<SavedFile[]> {
  const { bytes } = await documentIn(image, dialect);
  const blobs = new Map(blobsOf(image).map((blob) => [digestHex(blob.digest), blob]));
  return [
    ...[...blobs].map(([name, blob]): SavedFile => ({ name, kind: "blob", ...blob })),
    { name: "manifest.json", kind: "bytes", bytes },
    { name: "version", kind: "bytes", bytes: encode("Directory Transport Version: 1.1\n") },
  ];
}

/** The stored manifest where it is of that dialect, so that its digest stays; else the converted one. */
async function documentIn(
  image: SavedImage,
  dialect: Dialect,
): Promise<{ bytes: Uint8Array; digest: Digest }> {
  const isSame = mediaTypeIn(dialect, image.manifestType) === image.manifestType;
  const bytes = isSame
    ? image.manifestBytes
    : encode(JSON.stringify(convertManifest(image.manifest, dialect)));
  return { bytes, digest: await digestOf(bytes) };
}

function blobsOf(image: SavedImage): { digest: Digest; size: number; path?: string }[] {
  return [
    ...image.layers.map(({ digest, size, path }) => ({ digest, size, path })),
    { digest: image.configDigest, size: image.configSize },
  ];
}

function layerName(diffId: Digest): string {
  return `${digestHex(diffId)}.tar`;
}

function json(name: string, value: unknown): SavedFile {
  return { name, kind: "bytes", bytes: encode(JSON.stringify(value)) };
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

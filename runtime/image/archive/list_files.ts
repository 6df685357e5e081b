/** The files of an archive or folder that holds a list: its images, and an index over them. */

import { digestAlgorithm, digestHex, digestOf } from "../../spec/digest.ts";
import type { Descriptor, Index } from "../../spec/image.ts";
import { dialectOf } from "../convert_manifest.ts";
import { dockerDirFiles, ociLayoutFiles, type SavedFile, type SavedImage } from "./saved_files.ts";

export interface SavedIndex {
  bytes: Uint8Array;
  mediaType: string;
  /** Of its descriptor in the layout. */
  annotations?: Record<string, string>;
}

const REF_NAME = "org.opencontainers.image.ref.name";

/**
 * A layout in which the names are the index's. The images are OCI's.
 * @param before what an existing one has in its own index
 */
export async function ociListFiles(
  images: readonly SavedImage[],
  { bytes, mediaType, annotations }: SavedIndex,
  names: readonly string[],
  before: readonly Descriptor[] = [],
): Promise<SavedFile[]> {
  const digest = await digestOf(bytes);
  const entry = (name?: string): Descriptor => {
    const all = { ...annotations, ...(name === undefined ? {} : { [REF_NAME]: name }) };
    return {
      mediaType,
      digest,
      size: bytes.length,
      ...(Object.keys(all).length === 0 ? {} : { annotations: all }),
    };
  };
  const isReplaced = (old: Descriptor) =>
    names.length === 0
      ? old.digest === digest && old.annotations?.[REF_NAME] === undefined
      : names.includes(old.annotations?.[REF_NAME] ?? "");
  const index: Index = {
    schemaVersion: 2,
    manifests: [
      ...before.filter((old) => !isReplaced(old)),
      ...(names.length === 0 ? [entry()] : names.map(entry)),
    ],
  };
  const files = await ociLayoutFiles(images.map((image) => ({ ...image, names: [] })));
  return [
    { name: `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`, kind: "bytes", bytes },
    ...files.map((file): SavedFile =>
      file.name === "index.json"
        ? { name: file.name, kind: "bytes", bytes: new TextEncoder().encode(JSON.stringify(index)) }
        : file
    ),
  ];
}

/** A `dir:` with the index as its manifest, and that of each image by its digest. */
export async function dockerDirListFiles(
  images: readonly SavedImage[],
  { bytes }: SavedIndex,
): Promise<SavedFile[]> {
  const files = new Map<string, SavedFile>();
  for (const image of images) {
    const own = await dockerDirFiles(image, dialectOf(image.manifestType));
    const digest = await digestOf(image.manifestBytes);
    for (const file of own) {
      const name = file.name === "manifest.json" ? `${digestHex(digest)}.manifest.json` : file.name;
      files.set(name, { ...file, name });
    }
  }
  const version = new TextEncoder().encode("Directory Transport Version: 1.1\n");
  files.set("version", { name: "version", kind: "bytes", bytes: version });
  return [...files.values(), { name: "manifest.json", kind: "bytes", bytes }];
}

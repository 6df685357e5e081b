/** `artifact add`: files of this machine become an artifact of the store. */

import { detectContentType, SNIFFED_BYTES } from "../archive/content_type.ts";
import { ConflictError, InvalidArgumentError } from "../errors.ts";
import { imagesLockPath } from "../image/store.ts";
import type { Digest } from "../spec/digest.ts";
import { type Descriptor, type Manifest, MEDIA_TYPE } from "../spec/image.ts";
import { printable } from "../spec/printable.ts";
import { findArtifact, putArtifact } from "../state/artifacts.ts";
import { takeLock } from "../state/locks.ts";
import { writeBlob } from "../storage/blobs.ts";
import { addFileBlob } from "../storage/file_blob.ts";
import { artifactName, artifactRow, getArtifact, readArtifact, TITLE } from "./artifact_store.ts";
import type { Engine } from "./engine.ts";

export interface ArtifactAddOptions {
  /** Of the artifact. */
  type?: string;
  /** Of each file; by default what its content tells. */
  fileType?: string;
  /** Of each file. */
  annotations?: Record<string, string>;
  /** Add the files to the artifact that there is. */
  append?: boolean;
  /** In place of the artifact that there is. */
  replace?: boolean;
  signal?: AbortSignal;
}

/** What podman calls an artifact without a type. */
export const UNKNOWN_TYPE = "application/vnd.unknown.artifact.v1";

/** The config of an artifact that has none. @see OCI image-spec manifest.md, Guidance for an Empty Descriptor */
const EMPTY_CONFIG = {
  mediaType: "application/vnd.oci.empty.v1+json",
  bytes: new TextEncoder().encode("{}"),
};

/** @returns the digest of its manifest */
export async function artifactAdd(
  engine: Engine,
  text: string,
  paths: readonly string[],
  options: ArtifactAddOptions = {},
): Promise<Digest> {
  const { append, replace, type, signal } = options;
  if (append && type !== undefined) {
    throw new InvalidArgumentError("append option is not compatible with type option");
  }
  if (append && replace) throw new InvalidArgumentError("append and replace options cannot be used together");
  const name = artifactName(text);
  using _own = (await takeLock(`${engine.folders.locks}/artifacts`, { signal }))!;
  using _lock = (await takeLock(imagesLockPath(engine.folders), { shared: true, signal }))!;
  const db = await engine.database();
  const found = append ? getArtifact(db, text) : undefined;
  const before = found && await readArtifact(engine, found);
  if (!append && !replace && findArtifact(db, name) !== undefined) {
    throw new ConflictError(`artifact ${name} already exists`, {
      hint: "add to it with --append, or give it up with --replace",
    });
  }
  const layers = before?.manifest.layers ?? [];
  const added: Descriptor[] = [];
  for (const path of paths) {
    const title = path.slice(path.lastIndexOf("/") + 1);
    if ([...layers, ...added].some(({ annotations }) => annotations?.[TITLE] === title)) {
      throw new ConflictError(
        `add "${printable(path)}": the artifact has a file ${printable(title)} already`,
      );
    }
    added.push(await fileLayer(engine, path, options));
  }
  // what there is stays as it is, to the fields that nobody here knows
  const written = before === undefined
    ? { ...await newManifest(engine, type ?? UNKNOWN_TYPE), layers: added }
    : withMore(before.bytes, added);
  const digest = await writeArtifact(engine, written);
  const manifest = { config: (before?.manifest ?? written).config, layers: [...layers, ...added] };
  const row = artifactRow(found?.name ?? name, digest, manifest);
  await db.transaction(() => putArtifact(db, row));
  return digest;
}

/** The file as a blob, and what a manifest says of it. */
export async function fileLayer(
  engine: Engine,
  path: string,
  { fileType, annotations, noTitle }: Pick<ArtifactAddOptions, "fileType" | "annotations"> & {
    noTitle?: boolean;
  },
): Promise<Descriptor> {
  const { digest, size, head } = await addFileBlob(engine.folders, path, SNIFFED_BYTES);
  const title: Record<string, string> = noTitle ? {} : { [TITLE]: path.slice(path.lastIndexOf("/") + 1) };
  const all: Record<string, string> = { ...annotations, ...title };
  return {
    mediaType: fileType ?? detectContentType(head),
    digest,
    size,
    ...(Object.keys(all).length === 0 ? {} : { annotations: all }),
  };
}

/** One without files. */
export async function newManifest(
  engine: Engine,
  artifactType: string,
  config?: Descriptor,
): Promise<Manifest> {
  return {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociManifest,
    artifactType,
    config: config ?? {
      mediaType: EMPTY_CONFIG.mediaType,
      digest: await writeBlob(engine.folders, EMPTY_CONFIG.bytes),
      size: EMPTY_CONFIG.bytes.length,
      data: EMPTY_CONFIG.bytes.toBase64(),
    },
    layers: [],
  };
}

/** Writes the manifest and gives its digest. */
export async function writeArtifact(engine: Engine, manifest: object): Promise<Digest> {
  return await writeBlob(engine.folders, new TextEncoder().encode(JSON.stringify(manifest)));
}

function withMore(bytes: Uint8Array, added: readonly Descriptor[]): Manifest {
  const document = JSON.parse(new TextDecoder().decode(bytes));
  return { ...document, layers: [...document.layers, ...added] };
}

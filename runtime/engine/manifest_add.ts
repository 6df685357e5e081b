/** `manifest add`: puts images into a list, which are of the store or stay at their registry. */

import { ConflictError, InvalidArgumentError, NotFoundError, UnsupportedError } from "../errors.ts";
import { imageOfEntry, type ListEntry, listOf } from "../image/list.ts";
import { parseManifestDocument } from "../image/manifest.ts";
import { choosePlatform, hostPlatform } from "../image/platform.ts";
import { formatReference, repositoryName } from "../image/reference.ts";
import { findStoredImage, imagesLockPath } from "../image/store.ts";
import { fetchDocument, fetchManifest } from "../registry/remote_manifest.ts";
import type { Digest } from "../spec/digest.ts";
import { CONFIG_MEDIA_TYPES, type Descriptor, MEDIA_TYPE, type Platform } from "../spec/image.ts";
import { parseImageConfig } from "../spec/image_parse.ts";
import { printable } from "../spec/printable.ts";
import type { Database } from "../state/db.ts";
import type { ImageRow } from "../state/images.ts";
import { takeLock } from "../state/locks.ts";
import { blobPath, readBlob, writeBlob } from "../storage/blobs.ts";
import type { Engine } from "./engine.ts";
import { changeList, getList, withEntries } from "./manifest_list.ts";

/** What a list says of an entry; what is not given stays. */
export interface EntryDetails {
  arch?: string;
  os?: string;
  osVersion?: string;
  variant?: string;
  features?: readonly string[];
  osFeatures?: readonly string[];
  annotations?: Record<string, string>;
}

export interface ManifestAddOptions extends EntryDetails {
  /** Every entry of what is a list itself, instead of the one for the platform. */
  all?: boolean;
  tlsVerify?: boolean;
  authFile?: string;
  credentials?: { username: string; password: string };
  certDir?: string;
  signal?: AbortSignal;
}

/** Adds images to the list and returns its id; one that is in it already is described anew. */
export async function manifestAdd(
  engine: Engine,
  list: string,
  images: readonly string[],
  options: ManifestAddOptions = {},
): Promise<string> {
  const { row: { id } } = getList(await engine.database(), list);
  // manifests of registries come into the store before the list refers to them
  using _lock = (await takeLock(imagesLockPath(engine.folders), { shared: true, signal: options.signal }))!;
  await addEntries(engine, id, await addImages(engine, images, options), options.signal);
  return id;
}

export async function addEntries(
  engine: Engine,
  id: string,
  added: readonly ListEntry[],
  signal?: AbortSignal,
): Promise<void> {
  await changeList(engine, id, (list) => withEntries(list, added), signal);
}

/** The entries that these words come to; manifests of registries are in the store then. The caller holds `images`. */
export async function addImages(
  engine: Engine,
  images: readonly string[],
  options: ManifestAddOptions,
): Promise<ListEntry[]> {
  const db = await engine.database();
  const entries = new Map<Digest, ListEntry>();
  for (const text of images) {
    for (const entry of await entriesFor(engine, db, text, options)) {
      entries.set(entry.digest, described(entry, options));
    }
  }
  return [...entries.values()];
}

/** The entry with these details. */
export function described(entry: ListEntry, details: EntryDetails): ListEntry {
  const { arch, os, osVersion, variant, features, osFeatures, annotations } = details;
  const platform: Platform = {
    ...(entry.platform ?? { os: "", architecture: "" }),
    ...(arch === undefined ? {} : { architecture: arch }),
    ...(os === undefined ? {} : { os }),
    ...(osVersion === undefined ? {} : { osVersion }),
    ...(variant === undefined ? {} : { variant }),
    ...(features === undefined || features.length === 0 ? {} : { features: [...features] }),
    ...(osFeatures === undefined || osFeatures.length === 0 ? {} : { osFeatures: [...osFeatures] }),
  };
  const all = { ...entry.annotations, ...annotations };
  return {
    ...entry,
    platform,
    ...(Object.keys(all).length === 0 ? {} : { annotations: all }),
  };
}

/**
 * An image of the store goes before one of a registry, which `docker://` asks for. With `all` a registry goes first:
 * it knows the whole list.
 */
async function entriesFor(
  engine: Engine,
  db: Database,
  text: string,
  options: ManifestAddOptions,
): Promise<ListEntry[]> {
  const [, transport = "", rest = text] = /^([a-z-]+):(?:\/\/)?(.+)$/s.exec(text) ?? [];
  if (transport === "docker" && text.startsWith("docker://")) {
    return await remoteEntries(engine, rest, options);
  }
  if (transport === "containers-storage") return storedEntries(engine, db, rest, options) ?? notKnown(rest);
  if (/^(dir|oci|oci-archive|docker-archive)$/.test(transport)) {
    throw new UnsupportedError(`add "${printable(text)}": a list has images of the store or of registries`, {
      hint: `load it first: skiff load -i ${rest}`,
    });
  }
  const stored = storedEntries(engine, db, text, options);
  if (stored !== undefined && !options.all) return stored;
  try {
    return await remoteEntries(engine, text, options);
  } catch (error) {
    if (stored !== undefined) return stored;
    throw error;
  }
}

function notKnown(text: string): never {
  throw new NotFoundError("image", text, { message: `${text}: image not known` });
}

function storedEntries(
  engine: Engine,
  db: Database,
  text: string,
  options: ManifestAddOptions,
): ListEntry[] | undefined {
  const found = findStoredImage(db, text);
  if (found === undefined) return undefined;
  const { image } = found;
  if (image.list === undefined) return [storedEntry(engine, image)];
  const { entries } = listOf(image);
  if (options.all) return entries;
  const entry = choosePlatform(text, { schemaVersion: 2, manifests: entries }, wantedPlatform(options));
  const one = imageOfEntry(db, engine.folders, entry);
  return one === undefined ? [entry] : [{ ...entry, ...storedEntry(engine, one), platform: entry.platform }];
}

/** An image of the store as a list names it. */
export function storedEntry({ folders }: Engine, image: ImageRow): ListEntry {
  const digest = image.digest as Digest;
  const bytes = Deno.readFileSync(blobPath(folders, digest));
  const manifest = JSON.parse(new TextDecoder().decode(bytes));
  const { variant, "os.version": osVersion } = JSON.parse(image.config);
  return {
    mediaType: manifest.mediaType ?? MEDIA_TYPE.ociManifest,
    digest,
    size: bytes.length,
    platform: {
      os: image.os,
      architecture: image.architecture,
      ...(variant ? { variant } : {}),
      ...(osVersion ? { osVersion } : {}),
    },
  };
}

async function remoteEntries(
  engine: Engine,
  text: string,
  options: ManifestAddOptions,
): Promise<ListEntry[]> {
  const { reference, bytes, digest, document } = await fetchManifest(text, options);
  const source = repositoryName(reference);
  const place = { source, ...(options.tlsVerify === undefined ? {} : { tlsVerify: options.tlsVerify }) };
  if (document.kind === "manifest") {
    await writeBlob(engine.folders, bytes, digest);
    const { mediaType, manifest } = document;
    const platform = CONFIG_MEDIA_TYPES.includes(manifest.config.mediaType)
      ? await platformOf(source, manifest.config, options)
      : undefined;
    const { artifactType } = manifest;
    return [{
      mediaType,
      digest,
      size: bytes.length,
      ...(platform === undefined ? {} : { platform }),
      ...(artifactType === undefined ? {} : { artifactType }),
      ...place,
    }];
  }
  const chosen = options.all
    ? document.index.manifests
    : [choosePlatform(formatReference(reference), document.index, wantedPlatform(options))];
  const entries: ListEntry[] = [];
  for (const descriptor of chosen) {
    const one = await fetchManifest(`${source}@${descriptor.digest}`, options);
    if (one.document.kind !== "manifest") {
      throw new ConflictError(`add "${printable(text)}": its entry ${descriptor.digest} is an index itself`);
    }
    await writeBlob(engine.folders, one.bytes, one.digest);
    entries.push({ ...descriptor, size: one.bytes.length, mediaType: one.document.mediaType, ...place });
  }
  return entries;
}

async function platformOf(
  source: string,
  config: Descriptor,
  options: ManifestAddOptions,
): Promise<Platform> {
  const { os, architecture, variant, "os.version": osVersion } = parseImageConfig(
    `config of ${source}`,
    await fetchDocument(source, config, options),
  );
  return {
    os,
    architecture,
    ...(variant === undefined ? {} : { variant }),
    ...(osVersion === undefined ? {} : { osVersion }),
  };
}

/** What is chosen of a list that is added. */
function wantedPlatform({ os, arch, variant }: ManifestAddOptions): Platform {
  const host = hostPlatform();
  if (arch === undefined) return { ...host, ...(os === undefined ? {} : { os }) };
  if (arch === "") throw new InvalidArgumentError("--arch: an architecture has a name");
  return { os: os ?? host.os, architecture: arch, ...(variant === undefined ? {} : { variant }) };
}

/** The manifest of an entry, from the store. */
export async function manifestOfEntry(engine: Engine, entry: ListEntry) {
  const bytes = await readBlob(engine.folders, entry.digest);
  const document = parseManifestDocument(`manifest ${entry.digest.slice(0, 19)}`, bytes, entry.mediaType);
  if (document.kind !== "manifest") {
    throw new ConflictError(`use manifest ${entry.digest.slice(0, 19)}: it is an index`);
  }
  return { bytes, mediaType: document.mediaType, manifest: document.manifest };
}

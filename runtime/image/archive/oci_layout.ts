/**
 * Reads an OCI layout: a folder, an oci-archive, what `docker save` writes since version 25.
 *
 * @see OCI image-spec image-layout.md
 */

import { NotFoundError, VerificationError } from "../../errors.ts";
import { type Digest, digestAlgorithm, digestHex, verifyBytes } from "../../spec/digest.ts";
import { type Descriptor, DOCUMENT_LIMITS, type Index, MEDIA_TYPE, type Platform } from "../../spec/image.ts";
import { parseImageConfig } from "../../spec/image_parse.ts";
import { printable } from "../../spec/printable.ts";
import { checkImageManifest, type ManifestDocument, pairLayers, parseManifestDocument } from "../manifest.ts";
import { choosePlatform, hostPlatform } from "../platform.ts";
import { type ArchivedImage, fullName, nameOfFolder } from "./archived_image.ts";
import { tagsByConfig } from "./docker_archive.ts";
import { findBlob, type ImageSource, readDocument } from "./source.ts";

const REF_NAME = "org.opencontainers.image.ref.name";
/** Where containerd, and so docker, keeps the whole name; `ref.name` then is the tag alone. */
const CONTAINERD_NAME = "io.containerd.image.name";
/** buildkit's attestations look like images for no platform. */
const REFERENCE_TYPE = "vnd.docker.reference.type";
const INDEX_TYPES: readonly string[] = [MEDIA_TYPE.ociIndex, MEDIA_TYPE.dockerList];
const DEFAULT_TAG = "latest";

/** @param reference the only image that is wanted: a digest, however deep it is, a name, or a tag */
export async function readOciLayout(
  source: ImageSource,
  wanted: Platform = hostPlatform(),
  reference?: string,
): Promise<ArchivedImage[]> {
  const what = `index.json of ${printable(source.name)}`;
  const bytes = readDocument(what, source.find("index.json")!, DOCUMENT_LIMITS.manifestBytes);
  const top = parseManifestDocument(what, bytes, "");
  if (top.kind !== "index") throw new VerificationError(`read ${what}: it is no index`);
  const images: ArchivedImage[] = [];
  const groups = groupByName(top.index);
  for (const [name, entries] of reference === undefined ? groups : await choose(source, groups, reference)) {
    images.push(await readEntry(source, name, entries, wanted));
  }
  const tags = source.find("manifest.json") === undefined ? undefined : tagsByConfig(source);
  for (const image of images) {
    for (const tag of tags?.get(image.config.digest) ?? []) {
      if (!image.names.includes(tag)) image.names.push(tag);
    }
  }
  return images;
}

type Group = [name: string | undefined, entries: Descriptor[]];

/** What is not meant is not read: it may be for another platform. @throws {NotFoundError} */
async function choose(source: ImageSource, groups: Group[], reference: string): Promise<Group[]> {
  const isDigest = /^sha\d+:/.test(reference);
  // lists that name others many times would be read as often as the numbers multiply
  const seen = new Set<Digest>();
  for (const [name, entries] of groups) {
    const found = isDigest
      ? await findByDigest(source, entries, reference, seen)
      : name === reference || name?.endsWith(`:${reference}`) && entries;
    if (found) return [[name, found === true ? entries : found]];
  }
  // the only one there is needs no tag
  if (reference === DEFAULT_TAG && groups.length === 1) return groups;
  const has = groups.map(([name, [entry]]) => printable(name ?? entry!.digest.slice(0, 19), 60)).slice(0, 20);
  throw new NotFoundError("image", source.name, {
    message: `find "${printable(reference, 100)}" in OCI layout "${printable(source.name)}": no such image`,
    hint: has.length === 0 ? undefined : `it has ${has.join(", ")}`,
  });
}

async function findByDigest(
  source: ImageSource,
  entries: readonly Descriptor[],
  digest: string,
  seen: Set<Digest>,
  depth = 0,
): Promise<Descriptor[] | undefined> {
  const found = entries.find((entry) => entry.digest === digest);
  if (found !== undefined) return [found];
  if (depth === DOCUMENT_LIMITS.indexDepth) return undefined;
  for (const entry of entries.filter(({ mediaType }) => INDEX_TYPES.includes(mediaType))) {
    if (seen.has(entry.digest)) continue;
    seen.add(entry.digest);
    const { document } = await readManifest(source, digest.slice(0, 19), entry);
    if (document.kind !== "index") continue;
    const inside = await findByDigest(source, document.index.manifests, digest, seen, depth + 1);
    if (inside !== undefined) return inside;
  }
  return undefined;
}

/** Entries of one name are one image for several platforms; one without a name stands for itself. */
function groupByName(index: Index): Group[] {
  const named = new Map<string, Descriptor[]>();
  const unnamed: Descriptor[] = [];
  for (const entry of index.manifests) {
    const { annotations = {} } = entry;
    if (annotations[REFERENCE_TYPE] !== undefined) continue;
    const name = annotations[CONTAINERD_NAME] ?? annotations[REF_NAME];
    if (name === undefined) unnamed.push(entry);
    else named.set(name, [...named.get(name) ?? [], entry]);
  }
  const arePlatforms = unnamed.length > 1 && unnamed.every(({ platform }) => platform !== undefined);
  const groups = arePlatforms ? [unnamed] : unnamed.map((entry) => [entry]);
  return [...named, ...groups.map((group): Group => [undefined, group])];
}

async function readEntry(
  source: ImageSource,
  name: string | undefined,
  entries: Descriptor[],
  wanted: Platform,
): Promise<ArchivedImage> {
  const what = name ?? entries[0]!.digest.slice(0, 19);
  let entry = entries.length === 1
    ? entries[0]!
    : choosePlatform(what, { schemaVersion: 2, manifests: entries }, wanted);
  let { document, bytes } = await readManifest(source, what, entry);
  for (let depth = 0; document.kind === "index"; depth++) {
    if (depth === DOCUMENT_LIMITS.indexDepth) {
      throw new VerificationError(`use ${printable(what)}: its indexes are nested more than ${depth} deep`);
    }
    entry = choosePlatform(what, document.index, wanted);
    ({ document, bytes } = await readManifest(source, what, entry));
  }
  const { manifest } = document;
  checkImageManifest(what, manifest);
  const configBytes = await readBlobOf(
    source,
    `config of ${what}`,
    manifest.config,
    DOCUMENT_LIMITS.configBytes,
  );
  const config = parseImageConfig(`config of ${what}`, configBytes);
  return {
    what,
    names: namesOf(source, name),
    manifest: { bytes, digest: entry.digest },
    config: { bytes: configBytes, digest: manifest.config.digest, document: config },
    layers: pairLayers(what, manifest, config).map((layer) => ({
      part: findBlob(source, pathOf(layer.digest), layer),
      mediaType: layer.mediaType,
      digest: layer.digest,
      diffId: layer.diffId,
    })),
  };
}

/** A tag alone says nothing in a folder, which then gives the name, as for podman. */
function namesOf(source: ImageSource, name: string | undefined): string[] {
  const isWhole = name !== undefined && /[/:]/.test(name);
  if (source.folder !== undefined && !isWhole) return nameOfFolder(source.folder);
  return name === undefined ? [] : [fullName(source, name, "localhost")];
}

async function readManifest(
  source: ImageSource,
  what: string,
  entry: Descriptor,
): Promise<{ document: ManifestDocument; bytes: Uint8Array }> {
  const bytes = await readBlobOf(source, `manifest of ${what}`, entry, DOCUMENT_LIMITS.manifestBytes);
  return { document: parseManifestDocument(`manifest of ${what}`, bytes, entry.mediaType), bytes };
}

async function readBlobOf(
  source: ImageSource,
  what: string,
  descriptor: Descriptor,
  limitBytes: number,
): Promise<Uint8Array> {
  const bytes = readDocument(what, findBlob(source, pathOf(descriptor.digest), descriptor), limitBytes);
  await verifyBytes(what, bytes, descriptor.digest, descriptor.size);
  return bytes;
}

function pathOf(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}

/**
 * Reads an OCI layout: a folder, an oci-archive, what `docker save` writes since version 25.
 *
 * @see OCI image-spec image-layout.md
 */

import { VerificationError } from "../../errors.ts";
import { type Digest, digestAlgorithm, digestHex, verifyBytes } from "../../spec/digest.ts";
import { type Descriptor, DOCUMENT_LIMITS, type Index, type Platform } from "../../spec/image.ts";
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

export async function readOciLayout(
  source: ImageSource,
  wanted: Platform = hostPlatform(),
): Promise<ArchivedImage[]> {
  const what = `index.json of ${printable(source.name)}`;
  const bytes = readDocument(what, source.find("index.json")!, DOCUMENT_LIMITS.manifestBytes);
  const top = parseManifestDocument(what, bytes, "");
  if (top.kind !== "index") throw new VerificationError(`read ${what}: it is no index`);
  const images: ArchivedImage[] = [];
  for (const [name, entries] of groupByName(top.index)) {
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

/** Entries of one name are one image for several platforms; one without a name stands for itself. */
function groupByName(index: Index): [name: string | undefined, entries: Descriptor[]][] {
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
  return [...named, ...groups.map((group): [undefined, Descriptor[]] => [undefined, group])];
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

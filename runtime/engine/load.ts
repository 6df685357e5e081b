/** `load`: brings the images of an archive or folder into the store. */

import { UnsupportedError } from "../errors.ts";
import type { ArchivedImage } from "../image/archive/archived_image.ts";
import { openImageSource } from "../image/archive/source.ts";
import {
  isStored,
  type LayerProgress,
  type LoadContext,
  storeLayers,
} from "../image/archive/store_layers.ts";
import { type ImageLayer, refuseEncrypted } from "../image/manifest.ts";
import { formatPlatform, parsePlatform, platformFits } from "../image/platform.ts";
import { imagesLockPath, nameImage, recordNamedImage } from "../image/store.ts";
import type { Digest } from "../spec/digest.ts";
import { MEDIA_TYPE, type Platform } from "../spec/image.ts";
import { printable } from "../spec/printable.ts";
import { findImage, listLayers } from "../state/images.ts";
import { recordEvent } from "../state/events.ts";
import { takeLock } from "../state/locks.ts";
import { writeBlob } from "../storage/blobs.ts";
import { layerBytes, layerForm } from "../storage/layers.ts";
import { readAdmittedImages } from "./archive_policy.ts";
import type { Engine } from "./engine.ts";

export interface LoadOptions {
  /** Of an index that image; by default the one for this machine. */
  platform?: string;
  signal?: AbortSignal;
  progress?: (event: LayerProgress | { kind: "status"; text: string }) => void;
}

export interface LoadedImage {
  /** 64 hex digits. */
  id: string;
  /** In full; an archive may have an image without a name. */
  names: string[];
}

/**
 * Loads every image of a docker-archive, oci-archive, OCI layout folder or docker-dir, packed or not.
 *
 * @param input a path, or an open descriptor to read from
 * @throws {VerificationError} where the content is not what its digests say; images before it in the archive stay
 */
export async function load(
  engine: Engine,
  input: string | { fd: number },
  options: LoadOptions = {},
): Promise<LoadedImage[]> {
  // shared: nobody takes away content that has no row yet
  using _lock = (await takeLock(imagesLockPath(engine.folders), { shared: true, signal: options.signal }))!;
  using source = await openImageSource(engine.folders, input, options);
  const wanted = options.platform === undefined ? undefined : parsePlatform(options.platform);
  const loaded: LoadedImage[] = [];
  for (const image of await readAdmittedImages(source, { wanted, signal: options.signal })) {
    refuseOther(image, wanted);
    const one = await storeArchivedImage(engine, image, options);
    recordEvent(engine.folders, { type: "image", action: "loadfromarchive", id: one.id, name: source.name });
    loaded.push(one);
  }
  return loaded;
}

/** An archive of one image has that one, whatever is wanted. @throws {UnsupportedError} */
export function refuseOther(
  { what, config: { document } }: ArchivedImage,
  wanted: Platform | undefined,
): void {
  if (wanted === undefined || platformFits(document, wanted)) return;
  throw new UnsupportedError(
    `use ${printable(what)}: it is for ${formatPlatform(document)}, not for ${formatPlatform(wanted)}`,
  );
}

/** Brings one image of an opened archive into the store. The caller holds the lock of the images. */
export async function storeArchivedImage(
  engine: Engine,
  image: ArchivedImage,
  options: LoadOptions,
): Promise<LoadedImage> {
  const { folders, namespaces } = engine;
  const { document } = image.config;
  if (document.os !== "linux" && document.os !== "") {
    throw new UnsupportedError(
      `use ${printable(image.what)}: it is for ${formatPlatform(document)}, not for linux`,
    );
  }
  refuseEncrypted(printable(image.what), image.layers);
  const context: LoadContext = { folders, namespaces, form: layerForm(namespaces) };
  const db = await engine.database();
  const id = image.config.digest.replace(/^sha256:/, "");
  const known = findImage(db, id);
  if (known && listLayers(db, id).every((layer) => isStored(context, layer as ImageLayer))) {
    // the same image, perhaps with its layers packed in another way: what is here keeps its digests
    await nameImage(db, known, image.names);
    return { id, names: image.names };
  }
  const layers = await storeLayers(context, image.layers, options);
  await writeBlob(folders, image.config.bytes, image.config.digest);
  const manifest = image.manifest?.bytes ?? makeManifest(image, layers);
  const digest = await writeBlob(folders, manifest, image.manifest?.digest);
  const size = layers.reduce(
    (sum, layer) => sum + (layerBytes(folders, layer.diffId, context.form) ?? layer.size),
    0,
  );
  await recordNamedImage(db, {
    names: image.names,
    digest,
    imageId: image.config.digest,
    config: document,
    layers,
    size,
  });
  return { id, names: image.names };
}

/** What a docker-archive has none of. */
function makeManifest(image: ArchivedImage, layers: readonly ImageLayer[]): Uint8Array {
  const describe = (mediaType: string, size: number, digest: Digest) => ({ mediaType, size, digest });
  return new TextEncoder().encode(JSON.stringify({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.dockerManifest,
    config: describe(MEDIA_TYPE.dockerConfig, image.config.bytes.length, image.config.digest),
    layers: layers.map(({ mediaType, size, digest }) => describe(mediaType, size, digest)),
  }));
}

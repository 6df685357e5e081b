/**
 * Lists of images, which the store has beside images: a row with an id and names of its own, whose document says what
 * is in it. What is asked for by the name of a list is the image for a platform, but where the list itself is meant.
 *
 * @see podman-manifest(1)
 */

import { NotFoundError } from "../errors.ts";
import { type Digest, digestHex } from "../spec/digest.ts";
import { type Descriptor, type Index, MEDIA_TYPE, type Platform } from "../spec/image.ts";
import type { Database } from "../state/db.ts";
import { findImage, findImageByManifest, type ImageRow } from "../state/images.ts";
import { blobPath } from "../storage/blobs.ts";
import type { Folders } from "../state/folders.ts";
import { encodeIndex } from "./index_document.ts";
import { choosePlatform, formatPlatform, hostPlatform, platformFits } from "./platform.ts";
import { findStoredImage, type FoundImage, getStoredImage } from "./store.ts";

export interface ListEntry extends Descriptor {
  /** The repository that it is in, for what is not an image of the store: `quay.io/team/app`. */
  source?: string;
  /** How it was reached. */
  tlsVerify?: boolean;
  /** What its manifest refers to, where that is in the store without a row: an artifact of files. */
  blobs?: Digest[];
  /** Those files. */
  files?: string[];
}

export interface ImageList {
  entries: ListEntry[];
  annotations?: Record<string, string>;
  subject?: Descriptor;
}

export function listOf(row: ImageRow): ImageList {
  return JSON.parse(row.list!);
}

/** What a list would be at a registry, with its images as they are here. */
export function indexOf({ entries, annotations, subject }: ImageList): Index {
  return { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: entries, annotations, subject };
}

export function encodeList(list: ImageList): Uint8Array<ArrayBuffer> {
  return encodeIndex(indexOf(list), MEDIA_TYPE.ociIndex);
}

/** The entry for a platform. @throws {NotFoundError} that lists what there is */
export function chooseEntry(list: ImageList, what: string, wanted: Platform = hostPlatform()): ListEntry {
  return choosePlatform(what, indexOf(list), wanted);
}

/** The image of an entry: by its manifest, or by the config of the manifest, which an image may have several of. */
export function imageOfEntry(db: Database, folders: Folders, entry: ListEntry): ImageRow | undefined {
  const found = findImageByManifest(db, entry.digest);
  if (found !== undefined) return found;
  try {
    const manifest = JSON.parse(Deno.readTextFileSync(blobPath(folders, entry.digest)));
    return findImage(db, digestHex(manifest.config.digest));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** As `getStoredImage`, and of a list the image for this machine. */
export function getPlatformImage(db: Database, text: string, wanted?: Platform): FoundImage {
  return platformImage(db, getStoredImage(db, text), text, wanted);
}

/** As `findStoredImage`, and of a list the image for this machine. */
export function findPlatformImage(db: Database, text: string, wanted?: Platform): FoundImage | undefined {
  const found = findStoredImage(db, text);
  return found && platformImage(db, found, text, wanted);
}

function platformImage(db: Database, found: FoundImage, text: string, wanted?: Platform): FoundImage {
  if (found.image.list === undefined) {
    if (wanted === undefined || platformFits(found.image, wanted)) return found;
    throw new NotFoundError("image", text, {
      message: `image with reference ${text} was found but does not provide the specified platform (${
        formatPlatform(wanted)
      })`,
    });
  }
  const entry = chooseEntry(listOf(found.image), text, wanted);
  const image = findImageByManifest(db, entry.digest);
  if (image === undefined || image.list !== undefined) {
    throw new NotFoundError("image", text, {
      message: `${text}: the image that it lists for this machine is not in the store`,
      hint: entry.source === undefined ? undefined : `pull it: skiff pull ${entry.source}@${entry.digest}`,
    });
  }
  return { ...found, image };
}

/**
 * The images of the store: how a text leads to one, what a tag and a removal change, and what is garbage then.
 *
 * A pull holds the lock `images` shared from its first byte to its row; who removes content takes it exclusively
 * and gives up where it is held: the next one that gets it clears up.
 */

import { ConflictError, InvalidArgumentError, NotFoundError } from "../errors.ts";
import type { ImageConfig } from "../spec/image.ts";
import type { Database } from "../state/db.ts";
import { listContainersOfImage } from "../state/containers.ts";
import type { Folders } from "../state/folders.ts";
import {
  deleteImage,
  deleteName,
  findImage,
  findImageByName,
  findImageByRepoDigest,
  findImageByShortRepoDigest,
  findImagesByPrefix,
  findNamesBySuffix,
  type ImageRow,
  listNames,
  putImage,
  putName,
  putRepoDigest,
} from "../state/images.ts";
import {
  formatReference,
  parseName,
  parseReference,
  qualify,
  type Reference,
  repositoryName,
  withDefaultTag,
} from "./reference.ts";

/** What a pull has brought; its blobs and layers are in place. */
export interface RecordableImage {
  /** Normalised reference: `docker.io/library/debian:12`, or `…@sha256:…`. */
  name: string;
  /** Of the manifest. */
  digest: string;
  indexDigest?: string;
  /** Where it was decrypted: of what its name leads to at the registry. */
  encryptedDigests?: string[];
  /** Digest of the config. */
  imageId: string;
  config: ImageConfig;
  layers: { digest: string; size: number; mediaType: string; diffId: string }[];
  size: number;
}

/** The name of the image that is made of this machine's own folders. */
export const HOST_IMAGE = "host";

export function imagesLockPath(folders: Folders): string {
  return `${folders.locks}/images`;
}

/** Records a pulled image and points its name at it. Returns the id, 64 hex digits. */
export async function recordImage(db: Database, image: RecordableImage): Promise<string> {
  return await recordNamedImage(db, { ...image, names: [image.name] });
}

/** The same for an image with any number of names, in full; a name with a digest leads to it by the digest alone. */
export async function recordNamedImage(
  db: Database,
  image: Omit<RecordableImage, "name"> & { names: readonly string[] },
): Promise<string> {
  const id = image.imageId.replace(/^sha256:/, "");
  const references = image.names.map(parseReference);
  await db.transaction(() => {
    putImage(db, {
      id,
      digest: image.digest,
      indexDigest: image.indexDigest ?? null,
      architecture: image.config.architecture,
      os: image.config.os,
      created: image.config.created ?? "1970-01-01T00:00:00Z",
      recordedAt: new Date().toISOString(),
      size: image.size,
      config: JSON.stringify(image.config),
    }, image.layers);
    for (const reference of references) {
      putReference(db, id, reference, [image.digest, image.indexDigest, ...image.encryptedDigests ?? []]);
    }
  });
  return id;
}

/** Gives an image that is here already the names that an archive has for it. */
export async function nameImage(db: Database, image: ImageRow, names: readonly string[]): Promise<void> {
  await db.transaction(() => {
    if (!findImage(db, image.id)) throw new NotFoundError("image", image.id);
    for (const name of names) putReference(db, image.id, parseReference(name), [image.digest]);
  });
}

function putReference(
  db: Database,
  id: string,
  reference: Reference,
  digests: (string | null | undefined)[],
): void {
  if (reference.tag !== undefined) putName(db, formatReference({ ...reference, digest: undefined }), id);
  for (const digest of digests) {
    if (digest) putRepoDigest(db, `${repositoryName(reference)}@${digest}`, id);
  }
}

/** How a text led to an image: `name` is set where it was by a tag. */
export interface FoundImage {
  image: ImageRow;
  by: "name" | "digest" | "id";
  name?: string;
}

/** Looks for a stored image by name, digest or beginning of its id; undefined where there is none. */
export function findStoredImage(db: Database, text: string): FoundImage | undefined {
  const byId = /^sha256:([0-9a-f]{1,64})$/.exec(text)?.[1];
  if (byId) {
    const found = findById(db, byId, text);
    if (found) return found;
    const image = findImageByShortRepoDigest(db, text);
    return image && { image, by: "digest" };
  }
  const isHex = /^[0-9a-f]{1,64}$/.test(text);
  if (isHex && text.length === 64) return findById(db, text, text);
  const named = findByReference(db, text);
  return named ?? (isHex ? findById(db, text, text) : undefined);
}

/** Like `findStoredImage`, but an absent image is an error. */
export function getStoredImage(db: Database, text: string): FoundImage {
  const found = findStoredImage(db, text);
  if (found) return found;
  throw new NotFoundError("image", text, {
    message: text === HOST_IMAGE
      ? `${text}: it is built in, made of this machine's own folders, and no image of the store`
      : `${text}: image not known`,
  });
}

function findByReference(db: Database, text: string): FoundImage | undefined {
  const parts = parseName(text);
  // a short name is first one of this machine, then docker.io's, then whatever ends like it
  const domains = parts.domain === undefined ? ["localhost", "docker.io"] : [parts.domain];
  for (const domain of domains) {
    const reference = qualify(parts, domain);
    if (reference.digest !== undefined) {
      const image = findImageByRepoDigest(db, `${repositoryName(reference)}@${reference.digest}`);
      if (image) return { image, by: "digest" };
      continue;
    }
    const name = formatReference(withDefaultTag(reference));
    const image = findImageByName(db, name);
    if (image) return { image, by: "name", name };
  }
  if (parts.domain !== undefined) return undefined;
  if (parts.digest !== undefined) {
    const image = findImageByShortRepoDigest(db, `${parts.path}@${parts.digest}`);
    return image && { image, by: "digest" };
  }
  const matches = findNamesBySuffix(db, `${parts.path}:${parts.tag ?? "latest"}`);
  if (matches.length === 0) return undefined;
  if (new Set(matches.map((match) => match.imageId)).size > 1) {
    throw new ConflictError(
      `find image "${text}": ambiguous, it may be ${matches.map((match) => match.name).join(" or ")}`,
    );
  }
  return { image: findImage(db, matches[0]!.imageId)!, by: "name", name: matches[0]!.name };
}

function findById(db: Database, prefix: string, text: string): FoundImage | undefined {
  const images = findImagesByPrefix(db, prefix);
  if (images.length > 1) throw new ConflictError(`find image "${text}": more than one id begins with it`);
  return images[0] && { image: images[0], by: "id" };
}

/** Gives an image one more name; a name without a registry is `localhost/…`, as podman has it. */
export async function tagImage(db: Database, imageId: string, newName: string): Promise<string> {
  const parts = parseName(newName);
  if (parts.digest !== undefined) {
    throw new InvalidArgumentError(`tag image "${newName}": a name with a digest cannot be given`);
  }
  if (newName === HOST_IMAGE) {
    throw new InvalidArgumentError(`tag image "${newName}": the name is that of the built-in image`);
  }
  const name = formatReference(withDefaultTag(qualify(parts, "localhost")));
  await db.transaction(() => {
    if (!findImage(db, imageId)) throw new NotFoundError("image", imageId);
    putName(db, name, imageId);
  });
  return name;
}

export interface Removal {
  untagged: string[];
  /** Ids of images that are gone. */
  deleted: string[];
}

/**
 * Removes what `text` names: the tag alone where the image has others, else the image with its last tag.
 *
 * @throws {ConflictError} where a container uses the image, or where an id or digest has several tags and `force`
 * was not given; `force` does not remove containers, which is the caller's to do before
 */
export async function removeImage(db: Database, text: string, force: boolean): Promise<Removal> {
  return await db.transaction(() => {
    const { image, by, name } = getStoredImage(db, text);
    const names = listNames(db, image.id);
    if (by === "name" && names.length > 1) {
      deleteName(db, name!);
      return { untagged: [name!], deleted: [] };
    }
    if (by !== "name" && names.length > 1 && !force) {
      throw new ConflictError(
        `remove image "${text}": it has more than one tag (${names.join(", ")})`,
        { hint: "remove the tags one by one, or use --force" },
      );
    }
    const users = listContainersOfImage(db, image.id);
    if (users.length > 0) {
      throw new ConflictError(
        `remove image "${text}": image used by ${users[0]!.id}: image is in use by a container`,
        { hint: "remove the container first, or use --force" },
      );
    }
    deleteImage(db, image.id);
    return { untagged: names, deleted: [image.id] };
  });
}

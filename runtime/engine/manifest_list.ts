/** What the verbs of `manifest` share: finding a list, and changing it as a whole. */

import { encodeList, type ImageList, type ListEntry, listOf } from "../image/list.ts";
import { formatReference, parseName, qualify, repositoryName, withDefaultTag } from "../image/reference.ts";
import { parseReference } from "../image/reference.ts";
import { findStoredImage, imagesLockPath } from "../image/store.ts";
import { ConflictError, InvalidArgumentError, NotFoundError } from "../errors.ts";
import { type Digest, isDigest } from "../spec/digest.ts";
import { printable } from "../spec/printable.ts";
import type { Database } from "../state/db.ts";
import {
  deleteRepoDigest,
  findImage,
  type ImageRow,
  listNames,
  listRepoDigests,
  putImage,
  putRepoDigest,
} from "../state/images.ts";
import { takeLock } from "../state/locks.ts";
import { writeBlob } from "../storage/blobs.ts";
import type { Engine } from "./engine.ts";

/** The list of that name or id. @throws {NotFoundError}, or ConflictError where it is an image */
export function getList(db: Database, text: string): { row: ImageRow; name?: string } {
  const found = findStoredImage(db, text);
  if (found === undefined) throw new NotFoundError("image", text, { message: `${text}: image not known` });
  const { image: row, name } = found;
  if (row.list === undefined) throw new ConflictError(`${name ?? text}: image is not a manifest list`);
  return { row, name };
}

/**
 * The list with more in it. An entry takes the place of those that `isReplaced` says, by default of the one with its
 * digest.
 */
export function withEntries(
  list: ImageList,
  added: readonly ListEntry[],
  annotations: Readonly<Record<string, string>> = {},
  isReplaced = (old: ListEntry) => added.some(({ digest }) => digest === old.digest),
): ImageList {
  const all = { ...list.annotations, ...annotations };
  return {
    ...list,
    entries: [...list.entries.filter((old) => !isReplaced(old)), ...added],
    ...(Object.keys(all).length === 0 ? {} : { annotations: all }),
  };
}

/** A list's name in full: one without a registry is of this machine. */
export function listName(text: string): string {
  const parts = parseName(text);
  if (parts.digest !== undefined) {
    throw new InvalidArgumentError(`create list "${printable(text)}": a name with a digest cannot be given`);
  }
  return formatReference(withDefaultTag(qualify(parts, "localhost")));
}

/**
 * Reads the list, changes it, and writes it; one change after another. `images` is held, for what a change adds to the
 * store has no row before.
 */
export async function changeList(
  engine: Engine,
  id: string,
  change: (list: ImageList) => ImageList | Promise<ImageList>,
  signal?: AbortSignal,
): Promise<void> {
  using _lock = (await takeLock(`${engine.folders.locks}/list-${id.slice(0, 32)}`, { signal }))!;
  using _images = (await takeLock(imagesLockPath(engine.folders), { shared: true, signal }))!;
  const db = await engine.database();
  const row = findImage(db, id);
  if (row?.list === undefined) throw new NotFoundError("image", id, { message: `${id}: image not known` });
  await putList(engine, db, row, await change(listOf(row)));
}

/** Writes the row and the index that it would be pushed as; by its digest it is found like any image. */
export async function putList(
  engine: Engine,
  db: Database,
  row: Omit<ImageRow, "digest" | "size" | "list">,
  list: ImageList,
): Promise<void> {
  const bytes = encodeList(list);
  const digest = await writeBlob(engine.folders, bytes);
  await db.transaction(() => {
    putImage(db, { ...row, digest, size: bytes.length, list: JSON.stringify(list) }, []);
    for (const old of listRepoDigests(db, row.id)) deleteRepoDigest(db, old, row.id);
    for (const name of listNames(db, row.id)) {
      putRepoDigest(db, `${repositoryName(parseReference(name))}@${digest}`, row.id);
    }
  });
}

/** The digest that a word means: itself, or that of an image of the store. */
export function digestOfWord(db: Database, text: string): Digest {
  if (isDigest(text)) return text;
  if (!/^sha(256|512):/.test(text)) {
    const found = findStoredImage(db, text);
    if (found !== undefined) return found.image.digest as Digest;
  }
  throw new InvalidArgumentError(
    `invalid image digest ${JSON.stringify(printable(text))}: invalid checksum digest format`,
  );
}

/** `manifest annotate` and `manifest remove`: what a list says of an entry, or of itself; and one entry less. */

import { NotFoundError, SkiffError } from "../errors.ts";
import { fetchManifest } from "../registry/remote_manifest.ts";
import type { Digest } from "../spec/digest.ts";
import type { Descriptor } from "../spec/image.ts";
import { printable } from "../spec/printable.ts";
import type { Engine } from "./engine.ts";
import { described, type EntryDetails } from "./manifest_add.ts";
import { changeList, digestOfWord, getList } from "./manifest_list.ts";

export interface ManifestAnnotateOptions extends EntryDetails {
  /** The annotations are of the list itself. */
  index?: boolean;
  /** What the list is about: a name at a registry, or an image of the store. */
  subject?: string;
  signal?: AbortSignal;
}

/** @param entry a digest, or the name of an image of the store; none is needed with `index` or a subject */
export async function manifestAnnotate(
  engine: Engine,
  list: string,
  entry: string | undefined,
  options: ManifestAnnotateOptions = {},
): Promise<string> {
  const db = await engine.database();
  const { row: { id } } = getList(db, list);
  const { index, annotations, subject: subjectName, ...rest } = options;
  const digest = entry === undefined || entry === "" ? undefined : digestOfWord(db, entry);
  const subject = subjectName === undefined ? undefined : await subjectOf(engine, subjectName);
  const details = index ? rest : { ...rest, annotations };
  await changeList(engine, id, (before) => {
    if (digest !== undefined && !before.entries.some((one) => one.digest === digest)) {
      throw notInList(digest);
    }
    return {
      ...before,
      ...(index && annotations !== undefined && Object.keys(annotations).length > 0
        ? { annotations: { ...before.annotations, ...annotations } }
        : {}),
      ...(subject === undefined ? {} : { subject }),
      entries: before.entries.map((one) => one.digest === digest ? described(one, details) : one),
    };
  }, options.signal);
  return id;
}

/** Takes an entry out. Its image stays where it is. */
export async function manifestRemove(engine: Engine, list: string, entry: string): Promise<string> {
  const db = await engine.database();
  const action = `removing from manifest list ${printable(list)}`;
  try {
    const { row: { id } } = getList(db, list);
    const digest = digestOfWord(db, entry);
    await changeList(engine, id, (before) => {
      const entries = before.entries.filter((one) => one.digest !== digest);
      if (entries.length === before.entries.length) {
        throw new SkiffError(
          `no instance matching digest "${digest}" found in manifest list: file does not exist`,
        );
      }
      return { ...before, entries };
    });
    return id;
  } catch (cause) {
    if (!(cause instanceof SkiffError)) throw cause;
    throw new SkiffError(`${action}: ${cause.message}`, { cause });
  }
}

function notInList(digest: Digest): SkiffError {
  return new SkiffError(
    `no OCI manifest matching digest "${digest}" was found in list: no image instance matching the specified ` +
      "digest was found in the list or index",
  );
}

export async function subjectOf(engine: Engine, name: string): Promise<Descriptor> {
  const { findStoredImage } = await import("../image/store.ts");
  const found = findStoredImage(await engine.database(), name);
  if (found !== undefined) {
    const { storedEntry } = await import("./manifest_add.ts");
    const { mediaType, digest, size } = storedEntry(engine, found.image);
    return { mediaType, digest, size };
  }
  const { bytes, digest, document } = await fetchManifest(name).catch((cause) => {
    throw cause instanceof NotFoundError ? new NotFoundError("image", name, { cause }) : cause;
  });
  return { mediaType: document.mediaType, digest, size: bytes.length };
}

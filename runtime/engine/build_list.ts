/** `build --manifest`, and a build for several platforms: a list of what was built. */

import type { ListEntry } from "../image/list.ts";
import { formatPlatform } from "../image/platform.ts";
import { findStoredImage, tagImage } from "../image/store.ts";
import { ConflictError } from "../errors.ts";
import { recordEvent } from "../state/events.ts";
import { annotationsOf, type WrittenImage } from "./build_documents.ts";
import type { Engine } from "./engine.ts";
import { changeList, listName, withEntries } from "./manifest_list.ts";
import { recordList } from "./manifest_create.ts";

export interface BuiltList {
  /** The list to add to, where there is one of that name; an image of a platform takes the place of the one before. */
  manifest?: string;
  /** Names that lead to what was built now and to nothing else. */
  tags: readonly string[];
  annotations: Readonly<Record<string, string>>;
}

/** Records the images, which have rows, in the list. Returns its id. */
export async function recordBuiltList(
  engine: Engine,
  written: readonly WrittenImage[],
  { manifest, tags, annotations }: BuiltList,
  signal?: AbortSignal,
): Promise<string> {
  const entries = written.map(({ descriptor, platform }): ListEntry => ({ ...descriptor, platform }));
  const added = new Set(entries.map(({ platform }) => formatPlatform(platform!)));
  const [first, ...more] = manifest === undefined ? tags : [listName(manifest), ...tags];
  const id = manifest === undefined ? await recordList(engine, first!) : await listFor(engine, first!);
  const isReplaced = ({ platform }: ListEntry) =>
    platform !== undefined && added.has(formatPlatform(platform));
  await changeList(
    engine,
    id,
    (list) => withEntries(list, entries, annotationsOf(annotations, "index"), isReplaced),
    signal,
  );
  const db = await engine.database();
  for (const name of more) {
    await tagImage(db, id, name);
    recordEvent(engine.folders, { type: "image", action: "tag", id, name });
  }
  return id;
}

async function listFor(engine: Engine, name: string): Promise<string> {
  return await findList(engine, name) ?? await recordList(engine, name);
}

/** The list of that name. @throws {ConflictError} where it is an image */
export async function findList(engine: Engine, text: string): Promise<string | undefined> {
  const name = listName(text);
  const found = findStoredImage(await engine.database(), name)?.image;
  if (found === undefined) return undefined;
  if (found.list !== undefined) return found.id;
  throw new ConflictError(`build into list "${name}": the name is that of an image, not of a manifest list`);
}

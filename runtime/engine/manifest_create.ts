/** `manifest create`: a list of images, empty or of what is named at once. */

import { ConflictError, SkiffError } from "../errors.ts";
import { findStoredImage, imagesLockPath } from "../image/store.ts";
import { recordEvent } from "../state/events.ts";
import { randomId } from "../state/ids.ts";
import { findImage, putName } from "../state/images.ts";
import { takeLock } from "../state/locks.ts";
import type { Engine } from "./engine.ts";
import { addImages, type ManifestAddOptions } from "./manifest_add.ts";
import { changeList, listName, putList, withEntries } from "./manifest_list.ts";

export interface ManifestCreateOptions extends Pick<ManifestAddOptions, "all" | "tlsVerify" | "signal"> {
  /** A list of that name is added to, instead of an error. */
  amend?: boolean;
  /** Of the index. */
  annotations?: Record<string, string>;
}

/** Returns its id, 64 hex digits. Where an image cannot be added there is no list either. */
export async function manifestCreate(
  engine: Engine,
  text: string,
  images: readonly string[] = [],
  options: ManifestCreateOptions = {},
): Promise<string> {
  const db = await engine.database();
  const name = listName(text);
  const taken = findStoredImage(db, name)?.image;
  if (taken !== undefined && !(options.amend && taken.list !== undefined)) {
    throw new ConflictError(
      `creating image to hold manifest list: image name "${name}" is already associated with image ` +
        `"${taken.id}": that name is already in use`,
      { hint: taken.list === undefined ? undefined : "add to it with --amend" },
    );
  }
  const id = taken?.id ?? await recordList(engine, name);
  try {
    using _lock = (await takeLock(imagesLockPath(engine.folders), { shared: true, signal: options.signal }))!;
    const entries = await addImages(engine, images, options);
    await changeList(engine, id, (list) => withEntries(list, entries, options.annotations), options.signal);
  } catch (error) {
    if (taken === undefined) await (await import("./rmi.ts")).rmi(engine, [id], { force: true });
    throw error;
  }
  return id;
}

/** An empty list under that name. */
export async function recordList(engine: Engine, name: string): Promise<string> {
  using _lock = (await takeLock(imagesLockPath(engine.folders), { shared: true }))!;
  const db = await engine.database();
  const now = new Date().toISOString();
  // no config that it could be called by
  const id = randomId();
  await putList(engine, db, {
    id,
    indexDigest: null,
    architecture: "",
    os: "",
    created: now,
    recordedAt: now,
    config: JSON.stringify({ architecture: "", os: "", rootfs: { type: "layers", diff_ids: [] } }),
  }, { entries: [] });
  await db.transaction(() => {
    if (!findImage(db, id)) throw new SkiffError(`create list "${name}": it is gone`);
    putName(db, name, id);
  });
  recordEvent(engine.folders, { type: "image", action: "create", id, name });
  return id;
}

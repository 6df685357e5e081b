/** `rmi`: removes images, or the names they have. */

import { ConflictError, NotFoundError } from "../errors.ts";
import { getStoredImage, HOST_IMAGE, type Removal, removeImage } from "../image/store.ts";
import { listContainersOfImage } from "../state/containers.ts";
import { recordEvent } from "../state/events.ts";
import { listImages, listNames } from "../state/images.ts";
import type { Engine } from "./engine.ts";
import { collectImageGarbage } from "./garbage.ts";

export interface RmiOptions {
  /** Also with several tags, and with its containers, running or not. */
  force?: boolean;
  /** Every image that no container uses. */
  all?: boolean;
  /** No error where there is no such image. */
  ignore?: boolean;
}

export type { Removal } from "../image/store.ts";

export interface RmiResult extends Removal {
  /** What could not be removed; the others were. */
  errors: Error[];
}

export async function rmi(engine: Engine, images: string[], options: RmiOptions = {}): Promise<RmiResult> {
  const db = await engine.database();
  const result: RmiResult = { untagged: [], deleted: [], errors: [] };
  const targets = options.all
    ? listImages(db).flatMap(({ id }) => {
      const names = listNames(db, id);
      return names.length > 0 ? names : [id];
    })
    : images;
  for (const text of targets) {
    try {
      const removal = await removeOne(engine, text, options);
      result.untagged.push(...removal.untagged);
      result.deleted.push(...removal.deleted);
    } catch (error) {
      if (options.ignore && error instanceof NotFoundError) continue;
      if (options.all && error instanceof ConflictError && !options.force) continue;
      result.errors.push(error as Error);
    }
  }
  await collectImageGarbage(engine);
  return result;
}

async function removeOne(engine: Engine, text: string, options: RmiOptions): Promise<Removal> {
  if (text === HOST_IMAGE) {
    throw new ConflictError(`remove image "${HOST_IMAGE}": it is built in`);
  }
  const db = await engine.database();
  const { image, by } = getStoredImage(db, text);
  const isLastName = by !== "name" || listNames(db, image.id).length <= 1;
  if (options.force && isLastName) {
    const { rm } = await import("./rm.ts");
    for (const { id } of listContainersOfImage(db, image.id)) {
      await rm(engine, id, { force: true, volumes: true, ignore: true });
    }
  }
  const removal = await removeImage(db, text, options.force ?? false);
  const told = (action: string, name: string) =>
    recordEvent(engine.folders, { type: "image", action, id: image.id, name });
  for (const name of removal.untagged) told("untag", name);
  for (const id of removal.deleted) told("remove", removal.untagged[0] ?? id);
  return removal;
}

/** `pull` and `push --all-tags`: every image that a repository has. */

import { InvalidArgumentError, NotFoundError } from "../errors.ts";
import { formatReference, parseName, parseReference } from "../image/reference.ts";
import { type PlaceOptions, tryPlaces } from "../registry/places.ts";
import { listImages, listNames } from "../state/images.ts";
import type { Engine } from "./engine.ts";

/** References of all tags, in the registry's order. @throws {NotFoundError} where there is none */
export async function listTags(name: string, options: PlaceOptions = {}): Promise<string[]> {
  checkRepository("pull", name);
  const found = await tryPlaces(name, options, async (client, reference) => {
    const tags = await client.listTags();
    return tags.map((tag) => formatReference({ domain: reference.domain, path: reference.path, tag }));
  });
  for (const reference of found) parseName(reference);
  if (found.length > 0) return found;
  throw new NotFoundError("image", name, { message: `pull all tags of "${name}": there is none` });
}

/** The names that images of the store have in a repository, in their order. @throws {NotFoundError} where there is none */
export async function listStoredTags(engine: Engine, name: string): Promise<string[]> {
  checkRepository("push", name);
  const db = await engine.database();
  const repository = formatReference(parseReference(name));
  const names = listImages(db).flatMap(({ id }) => listNames(db, id)).sort();
  const found = names.filter((one) => one.startsWith(`${repository}:`));
  if (found.length > 0) return found;
  throw new NotFoundError("image", name, { message: `push all tags of "${name}": there is none` });
}

function checkRepository(action: string, name: string): void {
  const { tag, digest } = parseName(name);
  if (tag === undefined && digest === undefined) return;
  throw new InvalidArgumentError(`${action} all tags of "${name}": the name must be without a tag or digest`);
}

/** `pull --all-tags`: every image that a repository has. */

import { InvalidArgumentError, NotFoundError } from "../errors.ts";
import { formatReference, parseName } from "../image/reference.ts";
import { type PlaceOptions, tryPlaces } from "../registry/places.ts";

/** References of all tags, in the registry's order. @throws {NotFoundError} where there is none */
export async function listTags(name: string, options: PlaceOptions = {}): Promise<string[]> {
  const { tag, digest } = parseName(name);
  if (tag !== undefined || digest !== undefined) {
    throw new InvalidArgumentError(`pull all tags of "${name}": the name must be without a tag or digest`);
  }
  const found = await tryPlaces(name, options, async (client, reference) => {
    const tags = await client.listTags();
    return tags.map((tag) => formatReference({ domain: reference.domain, path: reference.path, tag }));
  });
  for (const reference of found) parseName(reference);
  if (found.length > 0) return found;
  throw new NotFoundError("image", name, { message: `pull all tags of "${name}": there is none` });
}

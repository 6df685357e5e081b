import { NotFoundError } from "../errors.ts";
import { formatReference, parseName, qualify, withDefaultTag } from "../image/reference.ts";
import { getStoredImage } from "../image/store.ts";
import { recordEvent } from "../state/events.ts";
import { deleteName, listNames } from "../state/images.ts";
import type { Engine } from "./engine.ts";

/**
 * Takes these names from a stored image, or all that it has. The image stays.
 *
 * @throws {NotFoundError} where one is not a name of that image; then all stay
 */
export async function untag(engine: Engine, image: string, names: readonly string[] = []): Promise<string[]> {
  const db = await engine.database();
  const { image: { id } } = getStoredImage(db, image);
  const removed = await db.transaction(() => {
    const own = listNames(db, id);
    const chosen = names.length === 0 ? own : names.map((name) => nameAmong(own, name));
    for (const name of chosen) deleteName(db, name);
    return chosen;
  });
  for (const name of removed) recordEvent(engine.folders, { type: "image", action: "untag", id, name });
  return removed;
}

/** A short name is first one of this machine, then docker.io's, as everywhere. */
function nameAmong(own: readonly string[], text: string): string {
  const full = ["localhost", "docker.io"].map((domain) =>
    formatReference(withDefaultTag(qualify(parseName(text), domain)))
  );
  const found = full.find((name) => own.includes(name));
  if (found === undefined) throw new NotFoundError("image", text, { message: `${full[0]}: tag not known` });
  return found;
}

import { getStoredImage, tagImage } from "../image/store.ts";
import { recordEvent } from "../state/events.ts";
import type { Engine } from "./engine.ts";

/** Gives a stored image more names. Returns them in full. */
export async function tag(engine: Engine, image: string, names: string[]): Promise<string[]> {
  const db = await engine.database();
  const { image: { id } } = getStoredImage(db, image);
  const given: string[] = [];
  for (const text of names) {
    const name = await tagImage(db, id, text);
    given.push(name);
    recordEvent(engine.folders, { type: "image", action: "tag", id, name });
  }
  return given;
}

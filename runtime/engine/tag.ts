import { getStoredImage, tagImage } from "../image/store.ts";
import type { Engine } from "./engine.ts";

/** Gives a stored image more names. Returns them in full. */
export async function tag(engine: Engine, image: string, names: string[]): Promise<string[]> {
  const db = await engine.database();
  const { image: { id } } = getStoredImage(db, image);
  const given: string[] = [];
  for (const name of names) given.push(await tagImage(db, id, name));
  return given;
}

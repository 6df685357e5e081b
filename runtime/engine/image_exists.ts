import { findStoredImage, HOST_IMAGE } from "../image/store.ts";
import type { Engine } from "./engine.ts";

/** Whether the store has such an image (the built-in `host` always is). */
export async function imageExists(engine: Engine, text: string): Promise<boolean> {
  if (text === HOST_IMAGE) return true;
  return findStoredImage(await engine.database(), text) !== undefined;
}

/** `pull`: brings an image from a registry into the store. */

import { UnsupportedError } from "../errors.ts";
import { HOST_IMAGE, imagesLockPath, recordImage } from "../image/store.ts";
import type { PullProgress } from "../registry/pull.ts";
import { takeLock } from "../state/locks.ts";
import { layerForm } from "../storage/layers.ts";
import type { Engine } from "./engine.ts";
import type { PullPolicy } from "./options.ts";

export type { PullProgress } from "../registry/pull.ts";

export interface PullOptions {
  /** `linux/arm64`; by default this machine's. */
  platform?: string;
  tlsVerify?: boolean;
  authFile?: string;
  policy?: PullPolicy;
  signal?: AbortSignal;
  progress?: (event: PullProgress) => void;
}

/** Pulls and records one image. Returns its id (64 hex digits) and full name. */
export async function pull(
  engine: Engine,
  reference: string,
  options: PullOptions = {},
): Promise<{ id: string; name: string; digest: string }> {
  if (reference === HOST_IMAGE) {
    throw new UnsupportedError(`pull image "${HOST_IMAGE}": it is made of this machine's own folders`);
  }
  const { pullImage } = await import("../registry/pull.ts");
  // shared: pulls go on side by side, but nobody takes away content that has no row yet
  using _lock = (await takeLock(imagesLockPath(engine.folders), { shared: true, signal: options.signal }))!;
  const { folders, namespaces } = engine;
  const image = await pullImage({ folders, namespaces, form: layerForm(namespaces) }, reference, options);
  const id = await recordImage(await engine.database(), image);
  return { id, name: image.name, digest: image.digest };
}

/** The blob of a layer, for what writes images and caches out: of some only the files are here. */

import { hasBlob } from "../storage/blobs.ts";
import { ensureBlob } from "../storage/capture.ts";
import { layerForm, type StorageContext } from "../storage/layers.ts";
import type { BuiltLayer } from "./step.ts";

/**
 * Packs again what a build has made, and downloads what a base image has that was pulled in part.
 *
 * @throws RegistryError, VerificationError where its registry no longer gives it; HostError
 */
export async function provideBlob(
  context: StorageContext,
  layer: BuiltLayer,
  signal?: AbortSignal,
): Promise<void> {
  const { folders, namespaces } = context;
  // what is not named by its archive was never packed here
  if (layer.digest !== layer.diffId && !hasBlob(folders, layer.digest, layer.size)) {
    const { fetchMissingBlob } = await import("../registry/fetch_blobs.ts");
    if (await fetchMissingBlob(folders, layerForm(namespaces), layer, { signal })) return;
  }
  await ensureBlob(context, layer, signal);
}

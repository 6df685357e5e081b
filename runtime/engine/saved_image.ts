/** An image of the store with what its documents say, as `save` and `push` take it. */

import { SkiffError, VerificationError } from "../errors.ts";
import type { SavedImage } from "../image/archive/saved_files.ts";
import { parseManifestDocument } from "../image/manifest.ts";
import type { Digest } from "../spec/digest.ts";
import type { Database } from "../state/db.ts";
import { type ImageRow, listLayers } from "../state/images.ts";
import { blobPath, hasBlob, readBlob } from "../storage/blobs.ts";
import { layerBytes, layerForm } from "../storage/layers.ts";
import { ensureWhole } from "./whole_layers.ts";
import type { Engine } from "./engine.ts";

/**
 * What is written and pushed of a stored image.
 *
 * @param isUnpacked layers are written unpacked, whose size then is worth finding out
 * @throws {SkiffError} where a blob of it is not in the store
 */
export async function savedImage(
  engine: Engine,
  db: Database,
  image: ImageRow,
  names: string[],
  isUnpacked = true,
): Promise<SavedImage> {
  const { folders } = engine;
  const what = names[0] ?? image.id.slice(0, 12);
  const layers = listLayers(db, image.id).map(({ digest, size, mediaType, diffId }) => ({
    digest: digest as Digest,
    size,
    mediaType,
    diffId: diffId as Digest,
    archiveSize: isUnpacked ? layerBytes(folders, diffId as Digest, layerForm(engine.namespaces)) : undefined,
  }));
  const missing = layers.filter(({ digest, size }) => !hasBlob(folders, digest, size));
  if (missing.length > 0) await ensureWhole(engine, layers.map(({ diffId }) => diffId));
  for (const { digest, size, diffId } of missing) {
    if (hasBlob(folders, digest, size)) continue;
    const { fetchMissingBlob } = await import("../registry/fetch_blobs.ts");
    if (await fetchMissingBlob(folders, layerForm(engine.namespaces), { digest, size, diffId })) continue;
    throw new SkiffError(`save image "${what}": blob ${digest} is not in the store`, {
      hint: "pull or load the image again",
    });
  }
  const manifestBytes = await readBlob(folders, image.digest as Digest);
  const document = parseManifestDocument(`manifest of ${what}`, manifestBytes, "");
  if (document.kind !== "manifest") {
    throw new VerificationError(`save image "${what}": its manifest is an index`);
  }
  const configDigest = document.manifest.config.digest;
  return {
    names,
    configDigest,
    configSize: Deno.statSync(blobPath(folders, configDigest)).size,
    manifest: document.manifest,
    manifestBytes,
    manifestType: document.mediaType,
    layers,
  };
}

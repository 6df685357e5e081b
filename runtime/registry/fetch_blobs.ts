/** Downloads the whole blob of a layer that was put together here, for who needs it: `push`, `save`. */
import { NotFoundError, RegistryError, SkiffError, VerificationError } from "../errors.ts";
import type { Digest } from "../spec/digest.ts";
import type { Folders } from "../state/folders.ts";
import { commitPartial, hasBlob, partialPath } from "../storage/blobs.ts";
import { readPartialMark } from "../storage/file_index.ts";
import type { LayerForm } from "../storage/layers.ts";
import { lockBlob } from "./blob_lock.ts";
import { downloadBlob } from "./download.ts";
import { type PlaceOptions, tryPlaces } from "./places.ts";
import { fileDigest } from "../storage/file_digest.ts";

export interface MissingBlob {
  digest: Digest;
  size: number;
  diffId: Digest;
}

/**
 * @returns whether it is in the store now; false where nobody wrote down where it came from
 * @throws RegistryError, VerificationError where its registry no longer gives it
 */
export async function fetchMissingBlob(
  folders: Folders,
  form: LayerForm,
  layer: MissingBlob,
  options: PlaceOptions = {},
): Promise<boolean> {
  const mark = readPartialMark(folders, layer.diffId, form);
  if (mark?.digest !== layer.digest) return false;
  using _lock = await lockBlob(folders.locks, layer.digest, { signal: options.signal });
  if (hasBlob(folders, layer.digest, layer.size)) return true;
  const path = partialPath(folders, layer.digest);
  try {
    const { from, tlsVerify, authFile, certDir } = mark;
    await tryPlaces(from, { tlsVerify, authFile, certDir, ...options }, async (client) => {
      await downloadBlob(client, { ...layer, path, signal: options.signal, onGrow: () => {} });
      if (await fileDigest(path, layer.digest) === layer.digest) return;
      await Deno.remove(path);
      throw new VerificationError(`verify layer ${layer.digest.slice(0, 19)}: its digest is another`);
    });
  } catch (error) {
    if (!(error instanceof RegistryError || error instanceof NotFoundError)) throw error;
    throw new SkiffError(
      `fetch layer ${layer.digest} of ${mark.from}, which was pulled in part: ${error.message}`,
      { cause: error, hint: `pull it whole: skiff rmi the image, and pull it again` },
    );
  }
  await commitPartial(folders, layer.digest);
  return true;
}

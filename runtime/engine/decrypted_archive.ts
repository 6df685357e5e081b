/**
 * An encrypted image of an archive or folder, decrypted: its layers are files of ours, its manifest names them.
 * `pull oci:FOLDER --decryption-key FILE` comes here.
 */

import { fileRange } from "../archive/file_chunks.ts";
import { withoutEncryption } from "../encryption/descriptor.ts";
import { readDecryptionKeys } from "../encryption/keys.ts";
import { decryptBytes } from "../encryption/layer_cipher.ts";
import { unwrapLayerKey } from "../encryption/layer_keys.ts";
import { VerificationError } from "../errors.ts";
import type { ArchivedImage, ArchivedLayer } from "../image/archive/archived_image.ts";
import { isEncrypted, parseManifestDocument, plainType } from "../image/manifest.ts";
import { digestHex, digestOf } from "../spec/digest.ts";
import type { Folders } from "../state/folders.ts";
import { close, open } from "../../ffi/file.ts";
import { O_CLOEXEC, O_NOFOLLOW, O_RDONLY } from "../../ffi/constants/fcntl.ts";

/** The image, and what goes away with it. */
export interface DecryptedArchive extends AsyncDisposable {
  image: ArchivedImage;
}

/** @throws {SkiffError} where no key opens a layer; {VerificationError} where it is not what was encrypted */
export async function decryptArchived(
  folders: Folders,
  image: ArchivedImage,
  keyFiles: readonly string[],
  signal?: AbortSignal,
): Promise<DecryptedArchive> {
  const keys = await readDecryptionKeys(keyFiles);
  const document = parseManifestDocument(`manifest of ${image.what}`, image.manifest!.bytes, "");
  if (document.kind !== "manifest") {
    throw new VerificationError(`use ${image.what}: its manifest is an index`);
  }
  const manifest = { ...document.manifest, layers: [...document.manifest.layers] };
  const made: { path: string; fd: number }[] = [];
  const dispose = async () => {
    for (const { path, fd } of made) {
      close(fd);
      await Deno.remove(path).catch(() => {});
    }
  };
  try {
    const nameOf = ({ digest }: ArchivedLayer) => `layer ${digest!.slice(0, 19)} of ${image.what}`;
    const layerKeys = [];
    for (const [at, layer] of image.layers.entries()) {
      const { annotations = {} } = manifest.layers[at]!;
      layerKeys.push(
        isEncrypted(layer) ? await unwrapLayerKey(nameOf(layer), annotations, keys, signal) : undefined,
      );
    }
    const layers = [...image.layers];
    for (const [at, key] of layerKeys.entries()) {
      if (key === undefined) continue;
      const layer = layers[at]!;
      const { part } = layer;
      const path = `${folders.blobs}/partial/${digestHex(layer.digest!)}.${crypto.randomUUID()}`;
      try {
        const job = { source: fileRange(part.fd, part.offset, part.size), target: path, signal };
        const { digest, size } = await decryptBytes(nameOf(layer), job, layer.digest!, key);
        const fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        made.push({ path, fd });
        const mediaType = plainType(layer.mediaType);
        layers[at] = { ...layer, part: { fd, offset: 0, size, spooled: path }, digest, mediaType };
        const { annotations, ...rest } = manifest.layers[at]!;
        const kept = withoutEncryption(annotations);
        manifest.layers[at] = { ...rest, mediaType, digest, size, ...(kept && { annotations: kept }) };
      } catch (error) {
        if (!made.some((one) => one.path === path)) await Deno.remove(path).catch(() => {});
        throw error;
      }
    }
    const bytes = new TextEncoder().encode(JSON.stringify(manifest));
    return {
      image: { ...image, layers, manifest: { bytes, digest: await digestOf(bytes) } },
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

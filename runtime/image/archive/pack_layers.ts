/** Packs the layers of an image that are not packed, into files of `blobs/partial` that live until disposed of. */

import { type Digest, digestHex } from "../../spec/digest.ts";
import { LAYER_COMPRESSION, MEDIA_TYPE } from "../../spec/image.ts";
import type { Folders } from "../../state/folders.ts";
import { blobPath } from "../../storage/blobs.ts";
import type { SavedImage } from "./saved_files.ts";

export interface PackedImage extends AsyncDisposable {
  /** With a manifest of its own; the config, and so the id, stays. */
  image: SavedImage;
}

export async function packLayers(
  folders: Folders,
  image: SavedImage,
  signal?: AbortSignal,
): Promise<PackedImage> {
  const made: string[] = [];
  const dispose = async () => {
    for (const path of made) await Deno.remove(path).catch(() => {});
  };
  try {
    const layers: SavedImage["layers"] = [];
    const descriptors = [...image.manifest.layers];
    for (const [at, layer] of image.layers.entries()) {
      if (LAYER_COMPRESSION[layer.mediaType] !== "none") {
        layers.push(layer);
        continue;
      }
      const path = `${folders.blobs}/partial/${digestHex(layer.digest)}.${crypto.randomUUID()}`;
      made.push(path);
      const { digest, size } = await gzip(blobPath(folders, layer.digest), path, signal);
      const mediaType = layer.mediaType === MEDIA_TYPE.ociLayer
        ? MEDIA_TYPE.ociLayerGzip
        : MEDIA_TYPE.dockerLayerGzip;
      layers.push({ ...layer, digest, size, mediaType, path });
      descriptors[at] = { mediaType, digest, size };
    }
    const manifest = { ...image.manifest, layers: descriptors };
    const manifestBytes = made.length === 0
      ? image.manifestBytes
      : new TextEncoder().encode(JSON.stringify(manifest));
    return { image: { ...image, layers, manifest, manifestBytes }, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function gzip(
  from: string,
  to: string,
  signal?: AbortSignal,
): Promise<{ digest: Digest; size: number }> {
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha256");
  let size = 0;
  const measure = new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, controller) {
      hash.update(piece);
      size += piece.length;
      controller.enqueue(piece);
    },
  });
  const input = await Deno.open(from, { read: true });
  const output = await Deno.open(to, { write: true, createNew: true, mode: 0o600 });
  await input.readable.pipeThrough(new CompressionStream("gzip")).pipeThrough(measure).pipeTo(
    output.writable,
    {
      signal,
    },
  );
  return { digest: `sha256:${hash.digest("hex")}` as Digest, size };
}

/** An image as a folder that umoci, skopeo and podman read. @see OCI image-spec image-layout.md */
import { type BuiltImage } from "./images.ts";

/** Writes the image with the tag `latest`. */
export async function writeLayout(folder: string, image: BuiltImage): Promise<void> {
  await Deno.mkdir(`${folder}/blobs/sha256`, { recursive: true });
  const write = (digest: string, bytes: Uint8Array) =>
    Deno.writeFile(`${folder}/blobs/sha256/${digest.slice("sha256:".length)}`, bytes);
  for (const [digest, bytes] of image.blobs) await write(digest, bytes);
  const manifest = new TextEncoder().encode(image.manifest);
  await write(image.digest, manifest);
  await Deno.writeTextFile(`${folder}/oci-layout`, JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await Deno.writeTextFile(
    `${folder}/index.json`,
    JSON.stringify({
      schemaVersion: 2,
      manifests: [{
        mediaType: image.mediaType,
        digest: image.digest,
        size: manifest.length,
        annotations: { "org.opencontainers.image.ref.name": "latest" },
      }],
    }),
  );
}

/** What storage needs to unpack the image's layers from the layout. */
export function layoutJobs(folder: string, image: BuiltImage) {
  const { layers } = JSON.parse(image.manifest) as {
    layers: { digest: string; size: number; mediaType: string }[];
  };
  return layers.map((layer, index) => ({
    ...layer,
    diffId: image.diffIds[index]!,
    blobFile: `${folder}/blobs/sha256/${layer.digest.slice("sha256:".length)}`,
    limitBytes: 2 ** 33,
  }));
}

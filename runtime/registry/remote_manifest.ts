/** Documents of an image at a registry, without the image: what lists refer to. */

import { configSources } from "../config/sources.ts";
import { type ManifestDocument, parseManifestDocument } from "../image/manifest.ts";
import { formatReference, type Reference } from "../image/reference.ts";
import type { Digest } from "../spec/digest.ts";
import { type Descriptor, DOCUMENT_LIMITS } from "../spec/image.ts";
import { downloadBlob } from "./download.ts";
import { askPolicy } from "./image_policy.ts";
import { type PlaceOptions, tryPlaces } from "./places.ts";

export interface RemoteManifest {
  reference: Reference;
  bytes: Uint8Array;
  digest: Digest;
  document: ManifestDocument;
}

/** What a name leads to. @throws {NotFoundError}, UnauthorizedError, RegistryError, VerificationError */
export async function fetchManifest(name: string, options: PlaceOptions = {}): Promise<RemoteManifest> {
  return await tryPlaces(name, options, async (client, reference) => {
    const { bytes, digest, contentType } = await client.getManifest(reference.digest ?? reference.tag!);
    const what = `manifest of ${formatReference(reference)}`;
    return { reference, bytes, digest, document: parseManifestDocument(what, bytes, contentType) };
  });
}

/** A small blob of a repository, such as a config, its digest verified. */
export async function fetchDocument(
  repository: string,
  descriptor: Descriptor,
  options: PlaceOptions = {},
): Promise<Uint8Array> {
  const what = `config of ${repository}`;
  return await tryPlaces(
    `${repository}@${descriptor.digest}`,
    options,
    (client) => client.getBlobBytes(what, descriptor, DOCUMENT_LIMITS.configBytes),
  );
}

/** Whether policy.json lets the image of that manifest be taken from there. @throws {SkiffError} where it does not */
export async function admitImage(
  repository: string,
  manifest: Uint8Array,
  digest: Digest,
  options: PlaceOptions = {},
): Promise<void> {
  await tryPlaces(`${repository}@${digest}`, options, async (client, reference) => {
    const checkManifest = await askPolicy(options.sources ?? configSources(), reference);
    await checkManifest(client, { bytes: manifest, digest });
  });
}

/**
 * Downloads a blob of a repository into `path`; what of it is there already is not asked for again. Whoever reads the
 * file checks the digest: a registry that it is pushed to does.
 */
export async function fetchBlob(
  repository: string,
  { digest, size }: Pick<Descriptor, "digest" | "size">,
  path: string,
  options: PlaceOptions & { onGrow?: (bytes: number) => void } = {},
): Promise<void> {
  const { onGrow = () => {}, signal } = options;
  await tryPlaces(`${repository}@${digest}`, options, async (client) => {
    await downloadBlob(client, { digest, size, path, onGrow, signal });
  });
}

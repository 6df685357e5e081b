/**
 * `image sign`: signs what is at a registry by gpg, into a folder that may then be served as a lookaside.
 *
 * @see podman-image-sign(1)
 */

import { signaturePlaces } from "../config/registries_d.ts";
import { configSources } from "../config/sources.ts";
import { InvalidArgumentError, UnsupportedError } from "../errors.ts";
import { formatReference, repositoryName } from "../image/reference.ts";
import { lookasideUrl } from "../registry/image_signatures.ts";
import { fetchManifest, type RemoteManifest } from "../registry/remote_manifest.ts";
import { signatureFile } from "../signature/image_signature.ts";
import { openSigners } from "../signature/signers.ts";
import { addSignatureFile } from "../signature/signature_files.ts";
import type { Digest } from "../spec/digest.ts";
import { printable } from "../spec/printable.ts";
import { VERSION } from "./version.ts";

export interface ImageSignOptions {
  /** A key of gpg's. */
  key: string;
  /** Every image of a list, besides the list. */
  all?: boolean;
  /** Instead of the lookaside of registries.d. */
  directory?: string;
  authFile?: string;
  certDir?: string;
  tlsVerify?: boolean;
  signal?: AbortSignal;
}

/** @returns the files with the signatures @throws {InvalidArgumentError} before anything is signed */
export async function imageSign(names: readonly string[], options: ImageSignOptions): Promise<string[]> {
  const { key, all, directory, signal, ...rest } = options;
  const sources = configSources();
  const [signer] = await openSigners({ gpg: { key }, creator: `skiff ${VERSION}` }, sources);
  const found = [];
  for (const name of names) found.push(await fetchManifest(registryName(name), { ...rest, signal }));
  const written: string[] = [];
  for (const image of found) {
    const { domain, path, tag, digest } = image.reference;
    const repository = repositoryName({ domain, path });
    const tail = digest === undefined ? `:${tag}` : `@${digest}`;
    const places = await signaturePlaces(sources, repository, tail, "write");
    const lookaside = directory === undefined ? places.lookaside : folderUrl(directory, path);
    if (lookaside.protocol !== "file:") {
      throw new UnsupportedError(`sign ${repository}: signatures cannot be sent to ${lookaside.origin}`, {
        hint: "use --directory, or name a folder as lookaside-staging in registries.d",
      });
    }
    for (const one of digestsOf(image, all)) {
      const claim = { digest: one, reference: formatReference(image.reference) };
      const place = decodeURIComponent(lookasideUrl({ ...places, lookaside }, one, 1).pathname);
      const folder = place.slice(0, place.lastIndexOf("/"));
      written.push(await addSignatureFile(folder, signatureFile(await signer!.sign(claim, signal))));
    }
  }
  return written;
}

/** podman wants the transport to be said. */
function registryName(text: string): string {
  if (text.startsWith("docker://")) return text.slice("docker://".length);
  throw new InvalidArgumentError(`sign "${printable(text)}": only images at registries are signed`, {
    hint: `write docker://${printable(text)}`,
  });
}

function digestsOf({ digest, document }: RemoteManifest, all = false): Digest[] {
  if (!all || document.kind !== "index") return [digest];
  return [digest, ...document.index.manifests.map((entry) => entry.digest)];
}

function folderUrl(directory: string, path: string): URL {
  const whole = directory.startsWith("/") ? directory : `${Deno.cwd()}/${directory}`;
  return new URL(`file://${encodeURIComponent(`${whole}/${path}`).replaceAll("%2F", "/")}`);
}

/**
 * Reads the folder that skopeo and podman call `dir:` and `docker-dir`: `manifest.json` is the manifest itself, and
 * every blob lies beside it, named by its hex digits.
 *
 * @see containers-transports(5), dir:path
 */

import { VerificationError } from "../../errors.ts";
import { digestHex, digestOf, verifyBytes } from "../../spec/digest.ts";
import { DOCUMENT_LIMITS } from "../../spec/image.ts";
import { parseImageConfig } from "../../spec/image_parse.ts";
import { printable } from "../../spec/printable.ts";
import { checkImageManifest, pairLayers, parseManifestDocument } from "../manifest.ts";
import { type ArchivedImage, nameOfFolder } from "./archived_image.ts";
import { findBlob, type ImageSource, readDocument } from "./source.ts";

export async function readDockerDir(source: ImageSource): Promise<ArchivedImage> {
  const what = printable(source.name);
  const bytes = readDocument(
    `manifest.json of ${what}`,
    source.find("manifest.json")!,
    DOCUMENT_LIMITS.manifestBytes,
  );
  const document = parseManifestDocument(`manifest.json of ${what}`, bytes, "");
  if (document.kind === "index") throw new VerificationError(`load "${what}": its manifest.json is an index`);
  const { manifest } = document;
  checkImageManifest(what, manifest);
  const { config: descriptor } = manifest;
  const configBytes = readDocument(
    `config of ${what}`,
    findBlob(source, digestHex(descriptor.digest), descriptor),
    DOCUMENT_LIMITS.configBytes,
  );
  await verifyBytes(`config of ${what}`, configBytes, descriptor.digest, descriptor.size);
  const config = parseImageConfig(`config of ${what}`, configBytes);
  return {
    what,
    names: nameOfFolder(source.folder!),
    manifest: { bytes, digest: await digestOf(bytes) },
    config: { bytes: configBytes, digest: descriptor.digest, document: config },
    layers: pairLayers(what, manifest, config).map(({ digest, size, mediaType, diffId }) => ({
      part: findBlob(source, digestHex(digest), { digest, size }),
      mediaType,
      digest,
      diffId,
    })),
  };
}

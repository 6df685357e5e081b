/** policy.json for what comes from files: asked before anything of it is in the store. */

import { checkPolicy, checkUnsigned, pathScopes, type PolicySubject } from "../config/policy.ts";
import { configSources } from "../config/sources.ts";
import { type ArchivedImage, isOciLayout, readArchivedImages } from "../image/archive/archived_image.ts";
import type { ImageSource } from "../image/archive/source.ts";
import type { Platform } from "../spec/image.ts";

/**
 * The images of an archive or folder, where the policy lets them in.
 *
 * @param wanted which of an index's images is meant; by default this machine's
 * @param reference of a layout: the only one that is wanted
 * @throws {SkiffError} where it does not; none may be stored then
 */
export async function readAdmittedImages(
  source: ImageSource,
  { wanted, reference, signal }: { wanted?: Platform; reference?: string; signal?: AbortSignal } = {},
): Promise<ArchivedImage[]> {
  const subject = subjectOf(source);
  const demands = await checkPolicy(configSources(), subject);
  const images = await readArchivedImages(source, wanted, reference);
  if (demands.requirements.length > 0) {
    const { checkArchivedSignatures } = await import("./load_signatures.ts");
    const beside = subject.transport === "dir" ? source : undefined;
    await checkArchivedSignatures(demands, beside, images, signal);
  }
  return images;
}

/** A docker-archive has no scopes. @see containers-policy.json(5), "Supported transports and their scopes" */
function subjectOf(source: ImageSource): PolicySubject {
  const { folder, file } = source;
  const isOci = isOciLayout(source);
  const transport = folder !== undefined ? (isOci ? "oci" : "dir") : isOci ? "oci-archive" : "docker-archive";
  const path = transport === "docker-archive" ? undefined : folder ?? file;
  const scopes = path === undefined ? [] : pathScopes(path);
  return { transport, name: `${transport}:${source.name}`, scopes };
}

/** The same of a root filesystem's tar, which has neither scopes nor signatures. @throws {SkiffError} */
export async function admitTarball(name: string): Promise<void> {
  await checkUnsigned(configSources(), { transport: "tarball", name: `tarball:${name}`, scopes: [] });
}

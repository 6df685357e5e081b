/**
 * Signatures of images that come from files: a `dir:` may have some beside its manifest, the other formats have no
 * place for them. None of them says what the image is called, so a policy can ask for a name that it names itself.
 *
 * @see containers-policy.json(5), "signedIdentity"
 */

import type { SignatureDemands } from "../config/policy.ts";
import type { ArchivedImage } from "../image/archive/archived_image.ts";
import { type ImageSource, readDocument } from "../image/archive/source.ts";
import { checkSignatures } from "../signature/check.ts";
import { type ImageSignature, parseSignatureFile, SIGNATURE_LIMITS } from "../signature/image_signature.ts";

/**
 * @param beside the `dir:`, where it is one
 * @throws {SkiffError} where the policy is not satisfied by each image; none may be stored then
 */
export async function checkArchivedSignatures(
  demands: SignatureDemands,
  beside: ImageSource | undefined,
  images: readonly ArchivedImage[],
  signal?: AbortSignal,
): Promise<void> {
  const signatures = beside === undefined ? [] : signaturesBeside(beside);
  for (const { manifest } of images) {
    // an archive without a manifest has nothing that could be signed
    const bytes = manifest?.bytes ?? new Uint8Array();
    await checkSignatures(demands, { manifest: bytes }, manifest === undefined ? [] : signatures, signal);
  }
}

function signaturesBeside(source: ImageSource): ImageSignature[] {
  const found: ImageSignature[] = [];
  while (found.length < SIGNATURE_LIMITS.count) {
    const name = `signature-${found.length + 1}`;
    const part = source.find(name);
    if (part === undefined) break;
    found.push(parseSignatureFile(name, readDocument(name, part, SIGNATURE_LIMITS.bytes)));
  }
  return found;
}

/**
 * Verifies a signature that lies beside an image as cosign lays it out.
 *
 * @see cosign, specs/SIGNATURE_SPEC.md
 */

import { type ImageSignature, SIGSTORE } from "./image_signature.ts";
import { isSignedBy, type PublicKey } from "./public_key.ts";
import { RejectedSignature } from "./rejected.ts";

export interface SigstoreTrust {
  keys: readonly PublicKey[];
  /** Where there are any, the transparency log of one of them must have seen the signature. */
  rekorKeys: readonly PublicKey[];
}

/** The signed bytes. @throws {RejectedSignature} */
export async function verifySigstore(
  { keys, rekorKeys }: SigstoreTrust,
  { payload, annotations }: ImageSignature & { kind: "sigstore" },
): Promise<Uint8Array> {
  const text = Object.hasOwn(annotations, SIGSTORE.signature) ? annotations[SIGSTORE.signature] : undefined;
  if (text === undefined) throw new RejectedSignature(`missing ${SIGSTORE.signature} annotation`);
  let signature: Uint8Array;
  try {
    signature = Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch {
    throw new RejectedSignature("the signature is not base64");
  }
  const key = keys.find((one) => isSignedBy(one, payload, signature));
  if (key === undefined) throw new RejectedSignature("cryptographic signature verification failed");
  if (rekorKeys.length > 0) {
    const { checkRekorEntry } = await import("./rekor.ts");
    const entry = Object.hasOwn(annotations, SIGSTORE.rekorEntry)
      ? annotations[SIGSTORE.rekorEntry]
      : undefined;
    if (entry === undefined) throw new RejectedSignature(`missing ${SIGSTORE.rekorEntry} annotation`);
    await checkRekorEntry(rekorKeys, entry, { key, signature, payload });
  }
  return payload;
}

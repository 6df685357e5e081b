/**
 * How a descriptor says that a layer is encrypted, and for whom.
 *
 * @see containers/ocicrypt, spec/spec.go
 */

import { ENCRYPTED_SUFFIX } from "../spec/image.ts";

export const ENC_PREFIX = "org.opencontainers.image.enc.";
export const ANNOTATION = {
  options: `${ENC_PREFIX}pubopts`,
  jwe: `${ENC_PREFIX}keys.jwe`,
  pkcs7: `${ENC_PREFIX}keys.pkcs7`,
  pgp: `${ENC_PREFIX}keys.pgp`,
} as const;

/** What the layer is when it is decrypted; undefined where nothing else is left. */
export function withoutEncryption(
  annotations: Record<string, string> | undefined,
): Record<string, string> | undefined {
  const rest = Object.entries(annotations ?? {}).filter(([name]) => !name.startsWith(ENC_PREFIX));
  return rest.length === 0 ? undefined : Object.fromEntries(rest);
}

export function encryptedType(mediaType: string): string {
  return mediaType + ENCRYPTED_SUFFIX;
}

/**
 * Public keys in PEM, and the signatures that cosign and its friends make with them: ECDSA and RSA (PKCS #1 v1.5) over
 * SHA-256, Ed25519 over the message.
 *
 * @see RFC 7468, 13; sigstore, pkg/signature
 */

import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { InvalidArgumentError } from "../errors.ts";

export interface PublicKey {
  key: KeyObject;
  /** As SubjectPublicKeyInfo, without PEM. */
  der: Uint8Array;
}

const CURVES = ["prime256v1", "secp384r1"];
const RSA_MIN_BITS = 2048;

/** @param what names the key in errors @throws {InvalidArgumentError} */
export function readPublicKey(what: string, bytes: Uint8Array): PublicKey {
  const fail = (why: string, cause?: unknown) =>
    new InvalidArgumentError(`read public key ${what}: ${why}`, { cause });
  const text = new TextDecoder().decode(bytes);
  const block = /-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/.exec(text);
  if (block === null) throw fail("it is not PEM");
  if (block[1] !== "PUBLIC KEY" && block[1] !== "RSA PUBLIC KEY") {
    throw fail(`it is a ${block[1]!.toLowerCase()}, not a public key`);
  }
  let key: KeyObject;
  try {
    key = createPublicKey(block[0]);
  } catch (cause) {
    throw fail("it is malformed", cause);
  }
  const why = whyUnusable(key);
  if (why !== undefined) throw fail(why);
  return { key, der: new Uint8Array(key.export({ type: "spki", format: "der" })) };
}

function whyUnusable(key: KeyObject): string | undefined {
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "ed25519":
      return undefined;
    case "ec":
      return CURVES.includes(namedCurve ?? "") ? undefined : "its curve is neither P-256 nor P-384";
    case "rsa":
      return (modulusLength ?? 0) >= RSA_MIN_BITS ? undefined : `it has less than ${RSA_MIN_BITS} bits`;
    default:
      return "it is neither ECDSA nor RSA nor Ed25519";
  }
}

/** Whether the signature is the key's; malformed ones are not. */
export function isSignedBy({ key }: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify(key.asymmetricKeyType === "ed25519" ? null : "sha256", message, key, signature) === true;
  } catch {
    return false;
  }
}

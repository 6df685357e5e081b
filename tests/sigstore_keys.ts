/** Makes pairs of keys as `cosign generate-key-pair` and `skopeo generate-sigstore-key` write them. */

import { xsalsa20poly1305 } from "@noble/ciphers/salsa.js";
import { generateKeyPairSync, type KeyObject, scryptSync } from "node:crypto";

export interface SigstorePair {
  /** PEM, shut by the passphrase. */
  privatePem: string;
  publicPem: string;
  /** For tests that sign by themselves. */
  key: KeyObject;
}

const KEY_KINDS = ["P-256", "P-384", "ed25519", "rsa"] as const;

export function makeKeyPair(
  kind: (typeof KEY_KINDS)[number] = "P-256",
): { publicKey: KeyObject; privateKey: KeyObject } {
  if (kind === "ed25519") return generateKeyPairSync("ed25519");
  if (kind === "rsa") return generateKeyPairSync("rsa", { modulusLength: 2048 });
  return generateKeyPairSync("ec", { namedCurve: kind });
}

export function makeSigstorePair(
  passphrase: string,
  { kind = "P-256" as (typeof KEY_KINDS)[number], label = "ENCRYPTED SIGSTORE PRIVATE KEY", cost = 32768 } =
    {},
): SigstorePair {
  const { publicKey, privateKey } = makeKeyPair(kind);
  const salt = crypto.getRandomValues(new Uint8Array(32)), nonce = crypto.getRandomValues(new Uint8Array(24));
  const shut = new Uint8Array(scryptSync(passphrase, salt, 32, { N: cost, r: 8, p: 1, maxmem: 4096 * cost }));
  const der = new Uint8Array(privateKey.export({ type: "pkcs8", format: "der" }));
  const json = JSON.stringify({
    kdf: { name: "scrypt", params: { N: cost, r: 8, p: 1 }, salt: salt.toBase64() },
    cipher: { name: "nacl/secretbox", nonce: nonce.toBase64() },
    ciphertext: xsalsa20poly1305(shut, nonce).encrypt(der).toBase64(),
  });
  const lines = new TextEncoder().encode(json).toBase64().match(/.{1,64}/g)!.join("\n");
  return {
    privatePem: `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`,
    publicPem: publicKey.export({ type: "spki", format: "pem" }) as string,
    key: privateKey,
  };
}

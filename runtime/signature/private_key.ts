/**
 * Private keys as cosign and skopeo keep them: PKCS #8, shut in a NaCl secretbox by a passphrase through scrypt.
 *
 * @see go-securesystemslib, encrypted/encrypted.go; cosign, pkg/cosign/keys.go
 */

import { xsalsa20poly1305 } from "@noble/ciphers/salsa.js";
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, type KeyObject, scryptSync, sign } from "node:crypto";
import { InvalidArgumentError } from "../errors.ts";
import { exactFields, parseStrictJson } from "../spec/strict_json.ts";
import { readPublicKey } from "./public_key.ts";

const LABELS = ["ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"];

/** What the two programs write today, and what older ones wrote; nothing else may make us work. */
const SCRYPT_COSTS = [32768, 65536];
const BLOCK_SIZE = 8;
const KEY_BYTES = 32, NONCE_BYTES = 24;

/** @param what names the file in errors @throws {InvalidArgumentError} */
export function readPrivateKey(what: string, pem: string, passphrase: Uint8Array): KeyObject {
  const fail = (why: string, cause?: unknown) =>
    new InvalidArgumentError(`read private key ${what}: ${why}`, { cause });
  const block = /-----BEGIN ([A-Z0-9 ]+)-----\s*([A-Za-z0-9+/=\s]*)-----END \1-----/.exec(pem);
  if (block === null) throw fail("invalid pem block");
  if (!LABELS.includes(block[1]!)) throw fail(`unsupported pem type: ${block[1]}`);
  let sealed;
  try {
    sealed = readSealed(Uint8Array.fromBase64(block[2]!));
  } catch (cause) {
    throw fail(`it is malformed: ${(cause as Error).message}`, cause);
  }
  let der: Uint8Array;
  try {
    der = xsalsa20poly1305(stretch(passphrase, sealed.salt, sealed.cost), sealed.nonce).decrypt(sealed.box);
  } catch (cause) {
    throw fail("decryption failed: it is another passphrase's", cause);
  }
  try {
    const key = createPrivateKey({ key: Buffer.from(der), format: "der", type: "pkcs8" });
    // the same kinds that can be verified
    readPublicKey(what, new TextEncoder().encode(publicPem(key)));
    return key;
  } catch (cause) {
    if (cause instanceof InvalidArgumentError) throw cause;
    throw fail("what is in it is no private key", cause);
  }
}

export function signWith(key: KeyObject, message: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(sign(key.asymmetricKeyType === "ed25519" ? null : "sha256", message, key));
}

export function publicPem(key: KeyObject): string {
  return createPublicKey(key).export({ type: "spki", format: "pem" }) as string;
}

interface Sealed {
  cost: number;
  salt: Uint8Array;
  nonce: Uint8Array;
  box: Uint8Array;
}

/** `{"kdf":{"name","params":{"N","r","p"},"salt"},"cipher":{"name","nonce"},"ciphertext"}` */
function readSealed(bytes: Uint8Array): Sealed {
  const json = parseStrictJson(new TextDecoder().decode(bytes));
  const { kdf, cipher, ciphertext } = exactFields(json, ["kdf", "cipher", "ciphertext"]);
  const { name, params, salt } = exactFields(kdf, ["name", "params", "salt"]);
  if (name !== "scrypt") throw new SyntaxError(`unknown kdf name ${JSON.stringify(name)}`);
  const { N, r, p } = exactFields(params, ["N", "r", "p"]);
  if (!SCRYPT_COSTS.includes(N as number) || r !== BLOCK_SIZE || p !== 1) {
    throw new SyntaxError("unexpected kdf parameters");
  }
  const box = exactFields(cipher, ["name", "nonce"]);
  if (box.name !== "nacl/secretbox") throw new SyntaxError(`unknown cipher name ${JSON.stringify(box.name)}`);
  const nonce = base64(box.nonce);
  if (nonce.length !== NONCE_BYTES) throw new SyntaxError("incorrect nonce size");
  return { cost: N as number, salt: base64(salt), nonce, box: base64(ciphertext) };
}

function base64(text: unknown): Uint8Array {
  if (typeof text !== "string") throw new SyntaxError("it is no text");
  return Uint8Array.fromBase64(text);
}

function stretch(passphrase: Uint8Array, salt: Uint8Array, cost: number): Uint8Array {
  const maxmem = 256 * cost * BLOCK_SIZE;
  return new Uint8Array(scryptSync(passphrase, salt, KEY_BYTES, { N: cost, r: BLOCK_SIZE, p: 1, maxmem }));
}

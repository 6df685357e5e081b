/**
 * The cipher of encrypted layers: AES-256 in counter mode, and an HMAC-SHA256 of what came out, by the same key.
 *
 * @see containers/ocicrypt, docs and blockcipher/blockcipher_aes_ctr.go ("AES_256_CTR_HMAC_SHA256")
 */

import { createCipheriv, createDecipheriv, createHash, createHmac, timingSafeEqual } from "node:crypto";
import { VerificationError } from "../errors.ts";
import { type Digest, digestAlgorithm, digestHex } from "../spec/digest.ts";

export const LAYER_CIPHER = "AES_256_CTR_HMAC_SHA256";

const CIPHER = "aes-256-ctr";
export const KEY_BYTES = 32, NONCE_BYTES = 16;
const PIECE_BYTES = 1 << 20;

/** What opens a layer; `key` and `nonce` are secret. */
export interface LayerKey {
  key: Uint8Array;
  nonce: Uint8Array;
  /** Of the encrypted bytes. */
  hmac: Uint8Array;
}

/** Where bytes come from: null or 0 at the end. */
export interface ByteSource {
  read(buffer: Uint8Array): Promise<number | null> | number;
}

interface CipherJob {
  source: ByteSource;
  /** A file that is written; who calls removes it when this throws. */
  target: string;
  signal?: AbortSignal;
}

/**
 * Encrypts what has that digest with a key made for it.
 *
 * @throws {VerificationError} where the digest is another: who decrypts it could not tell why it is wrong
 */
export async function encryptBytes(
  what: string,
  job: CipherJob,
  expected: Digest,
): Promise<{ digest: Digest; size: number; layerKey: LayerKey }> {
  const key = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const cipher = createCipheriv(CIPHER, key, nonce);
  const plain = createHash(digestAlgorithm(expected));
  const hash = createHash("sha256"), hmac = createHmac("sha256", key);
  const size = await passThrough(job, (piece) => {
    plain.update(piece);
    const encrypted = cipher.update(piece);
    hash.update(encrypted);
    hmac.update(encrypted);
    return encrypted;
  });
  checkDigest(what, plain.digest("hex"), expected);
  const digest = `sha256:${hash.digest("hex")}` as Digest;
  return { digest, size, layerKey: { key, nonce, hmac: new Uint8Array(hmac.digest()) } };
}

/**
 * Decrypts what has that digest. What is in `target` may be used only when this has returned.
 *
 * @returns the digest and size of what came out
 * @throws {VerificationError} where digest or HMAC are others
 */
export async function decryptBytes(
  what: string,
  job: CipherJob,
  expected: Digest,
  layerKey: LayerKey,
): Promise<{ digest: Digest; size: number }> {
  const { key, nonce, hmac: wanted } = layerKey;
  const decipher = createDecipheriv(CIPHER, key, nonce);
  const encrypted = createHash(digestAlgorithm(expected)),
    hmac = createHmac("sha256", key),
    plain = createHash("sha256");
  const size = await passThrough(job, (piece) => {
    encrypted.update(piece);
    hmac.update(piece);
    const decrypted = decipher.update(piece);
    plain.update(decrypted);
    return decrypted;
  });
  checkDigest(what, encrypted.digest("hex"), expected);
  const own = hmac.digest();
  if (own.length !== wanted.length || !timingSafeEqual(own, wanted)) {
    throw new VerificationError(`decrypt ${what}: its HMAC does not match, it is not what was encrypted`);
  }
  return { digest: `sha256:${plain.digest("hex")}` as Digest, size };
}

function checkDigest(what: string, found: string, expected: Digest): void {
  if (found !== digestHex(expected)) throw new VerificationError(`verify ${what}: its digest is another`);
}

async function passThrough(
  { source, target, signal }: CipherJob,
  change: (piece: Uint8Array) => Uint8Array,
): Promise<number> {
  using file = await Deno.open(target, { write: true, createNew: true, mode: 0o600 });
  const buffer = new Uint8Array(PIECE_BYTES);
  let size = 0;
  for (;;) {
    signal?.throwIfAborted();
    const count = await source.read(buffer);
    if (count === null || count === 0) return size;
    const changed = change(buffer.subarray(0, count));
    for (let at = 0; at < changed.length;) at += await file.write(changed.subarray(at));
    size += count;
  }
}

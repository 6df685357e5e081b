/**
 * The key of a layer in the annotations of its descriptor: encrypted once for all who may open it by the same
 * protocol, in base64, several with commas between them.
 *
 * @see containers/ocicrypt, encryption.go
 */

import * as v from "valibot";
import { SkiffError, VerificationError } from "../errors.ts";
import type { Digest } from "../spec/digest.ts";
import { printable } from "../spec/printable.ts";
import { ANNOTATION } from "./descriptor.ts";
import { decryptJwe, encryptJwe } from "./jwe.ts";
import { decryptPkcs7, encryptPkcs7 } from "./pkcs7.ts";
import type { PrivateKeys, Recipients } from "./keys.ts";
import { KEY_BYTES, LAYER_CIPHER, type LayerKey, NONCE_BYTES } from "./layer_cipher.ts";

type Annotations = Record<string, string>;

/** More than any image has: each costs a key operation. */
const MESSAGE_LIMIT = 64;

/** @param digest of the layer before it was encrypted */
export async function wrapLayerKey(
  { key, nonce, hmac }: LayerKey,
  digest: Digest,
  { jwe, pkcs7, pgp }: Recipients,
  signal?: AbortSignal,
): Promise<Annotations> {
  const payload = encode({
    symkey: key.toBase64(),
    digest,
    cipheroptions: { nonce: nonce.toBase64() },
  });
  const annotations: Annotations = {};
  if (jwe.length > 0) annotations[ANNOTATION.jwe] = toBase64(encryptJwe(payload, jwe));
  if (pkcs7.length > 0) annotations[ANNOTATION.pkcs7] = toBase64(encryptPkcs7(payload, pkcs7));
  if (pgp.length > 0) {
    const { encryptPgp } = await import("./openpgp.ts");
    annotations[ANNOTATION.pgp] = toBase64(await encryptPgp(payload, pgp, signal));
  }
  const options = { cipher: LAYER_CIPHER, hmac: hmac.toBase64(), cipheroptions: {} };
  annotations[ANNOTATION.options] = toBase64(encode(options));
  return annotations;
}

const BYTES = v.pipe(v.string(), v.base64(), v.transform((text) => Uint8Array.fromBase64(text)));
const OPTIONS = v.nullish(v.record(v.string(), v.string()));
const PRIVATE = v.object({ symkey: v.pipe(BYTES, v.length(KEY_BYTES)), cipheroptions: OPTIONS });
const PUBLIC = v.object({
  cipher: v.nullish(v.string(), ""),
  hmac: v.nullish(v.string()),
  cipheroptions: OPTIONS,
});

/**
 * @param what names the layer in errors
 * @throws {SkiffError} where none of the keys opens it; {VerificationError} where its annotations are malformed
 */
export async function unwrapLayerKey(
  what: string,
  annotations: Annotations,
  keys: PrivateKeys,
  signal?: AbortSignal,
): Promise<LayerKey> {
  const payload = await unwrap(what, annotations, keys, signal);
  if (payload === undefined) {
    throw new SkiffError(
      `decrypt ${what}: no suitable key unwrapper found or none of the private keys could be used for decryption`,
    );
  }
  try {
    const secret = v.parse(PRIVATE, decode(payload));
    const open = v.parse(PUBLIC, decode(Uint8Array.fromBase64(annotations[ANNOTATION.options] ?? "")));
    if (open.cipher !== LAYER_CIPHER) {
      throw new VerificationError(`unsupported cipher type: ${printable(open.cipher ?? "", 60)}`);
    }
    // the secret one first: nothing vouches for the other, and another nonce makes other content of the same bytes
    const nonce = secret.cipheroptions?.nonce ?? open.cipheroptions?.nonce;
    // the first releases had it among the options
    const hmac = open.hmac ?? open.cipheroptions?.hmac;
    if (!nonce || !hmac) throw new VerificationError("nonce or HMAC are missing");
    return {
      key: secret.symkey,
      nonce: v.parse(v.pipe(BYTES, v.length(NONCE_BYTES)), nonce),
      hmac: v.parse(BYTES, hmac),
    };
  } catch (error) {
    // what a parser says of it may quote the key
    const why = error instanceof VerificationError ? error.message : "they are malformed";
    throw new VerificationError(`decrypt ${what}: the options in its annotations: ${why}`);
  }
}

async function unwrap(
  what: string,
  annotations: Annotations,
  { keys, rings }: PrivateKeys,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  for (const [name, open] of [[ANNOTATION.jwe, decryptJwe], [ANNOTATION.pkcs7, decryptPkcs7]] as const) {
    for (const message of messagesOf(what, annotations[name])) {
      for (const key of keys) {
        const payload = attempt(() => open(message, key));
        if (payload !== undefined) return payload;
      }
    }
  }
  if (rings.length === 0) return undefined;
  const { decryptPgp } = await import("./openpgp.ts");
  for (const message of messagesOf(what, annotations[ANNOTATION.pgp])) {
    for (const ring of rings) {
      const payload = await decryptPgp(message, ring, signal);
      if (payload !== undefined) return payload;
    }
  }
  return undefined;
}

/** One that is malformed is for nobody; another may do. */
function attempt(open: () => Uint8Array | undefined): Uint8Array | undefined {
  try {
    return open();
  } catch {
    return undefined;
  }
}

function messagesOf(what: string, annotation: string | undefined): Uint8Array<ArrayBuffer>[] {
  if (!annotation) return [];
  try {
    return annotation.split(",").slice(0, MESSAGE_LIMIT).map((text) => Uint8Array.fromBase64(text));
  } catch {
    throw new VerificationError(`decrypt ${what}: could not base64 decode the annotation`);
  }
}

function encode(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value));
}

function decode(bytes: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(bytes));
}

function toBase64(bytes: Uint8Array): string {
  return new Uint8Array(bytes).toBase64();
}

/**
 * JSON Web Encryption of a layer's key: A256GCM, its key for RSA by RSA-OAEP, for elliptic curves by ECDH-ES+A256KW.
 *
 * @see RFC 7516; RFC 7518, 4.3, 4.6, 5.3; containers/ocicrypt, keywrap/jwe
 */

import { Buffer } from "node:buffer";
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
} from "node:crypto";
import * as v from "valibot";

type Bytes = Uint8Array;

const ENC = "A256GCM";
const RSA_ALG = "RSA-OAEP", EC_ALG = "ECDH-ES+A256KW";
const GCM_IV_BYTES = 12, GCM_TAG_BYTES = 16;

/** Of the content's encryption: the size of its key. */
const GCM: Record<string, { cipher: "aes-128-gcm" | "aes-192-gcm" | "aes-256-gcm"; bytes: number }> = {
  A128GCM: { cipher: "aes-128-gcm", bytes: 16 },
  A192GCM: { cipher: "aes-192-gcm", bytes: 24 },
  A256GCM: { cipher: "aes-256-gcm", bytes: 32 },
};
const OAEP_HASH: Record<string, string> = { "RSA-OAEP": "sha1", "RSA-OAEP-256": "sha256" };
/** Of the key that wraps a key. */
const KEY_WRAP: Record<string, { cipher: string; bytes: number }> = {
  "ECDH-ES+A128KW": { cipher: "aes128-wrap", bytes: 16 },
  "ECDH-ES+A192KW": { cipher: "aes192-wrap", bytes: 24 },
  "ECDH-ES+A256KW": { cipher: "aes256-wrap", bytes: 32 },
};
/** RFC 3394, 2.2.3.1. */
const WRAP_IV = new Uint8Array(8).fill(0xa6);

/** JSON of the general form, or of the flattened one for a single recipient. */
export function encryptJwe(payload: Bytes, recipients: readonly KeyObject[]): Bytes {
  const contentKey = crypto.getRandomValues(new Uint8Array(32));
  const wrapped = recipients.map((key) => wrapFor(key, contentKey));
  const [only] = wrapped;
  const isOne = wrapped.length === 1;
  const aad = encoded(JSON.stringify({ ...(isOne ? only!.header : {}), enc: ENC }));
  const iv = crypto.getRandomValues(new Uint8Array(GCM_IV_BYTES));
  const cipher = createCipheriv("aes-256-gcm", contentKey, iv);
  cipher.setAAD(Buffer.from(aad));
  const ciphertext = Buffer.concat([cipher.update(payload), cipher.final()]);
  const keys = isOne
    ? { encrypted_key: only!.encryptedKey }
    : { recipients: wrapped.map(({ header, encryptedKey }) => ({ header, encrypted_key: encryptedKey })) };
  return new TextEncoder().encode(JSON.stringify({
    protected: aad,
    ...keys,
    iv: encoded(iv),
    ciphertext: encoded(ciphertext),
    tag: encoded(cipher.getAuthTag()),
  }));
}

function wrapFor(key: KeyObject, contentKey: Bytes): { header: object; encryptedKey: string } {
  if (key.asymmetricKeyType === "rsa") {
    const encrypted = publicEncrypt(
      { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: OAEP_HASH[RSA_ALG] },
      contentKey,
    );
    return { header: { alg: RSA_ALG }, encryptedKey: encoded(encrypted) };
  }
  const { crv } = key.export({ format: "jwk" });
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: crv! });
  const { cipher, bytes } = KEY_WRAP[EC_ALG]!;
  const wrapping = deriveKey(diffieHellman({ privateKey, publicKey: key }), EC_ALG, bytes);
  const wrap = createCipheriv(cipher, wrapping, WRAP_IV);
  const encrypted = Buffer.concat([wrap.update(contentKey), wrap.final()]);
  const { kty, x, y } = publicKey.export({ format: "jwk" });
  return { header: { alg: EC_ALG, epk: { kty, crv, x, y } }, encryptedKey: encoded(encrypted) };
}

/** The curves that both ends know. */
export function isJweKey(key: KeyObject): boolean {
  if (key.asymmetricKeyType === "rsa") return true;
  return key.asymmetricKeyType === "ec" && CURVES.includes(key.export({ format: "jwk" }).crv ?? "");
}

const CURVES = ["P-256", "P-384", "P-521"];

const HEADER = v.object({
  alg: v.optional(v.string()),
  enc: v.optional(v.string()),
  epk: v.optional(v.object({ kty: v.string(), crv: v.string(), x: v.string(), y: v.string() })),
  apu: v.optional(v.string()),
  apv: v.optional(v.string()),
  crit: v.optional(v.unknown()),
  zip: v.optional(v.unknown()),
});
type Header = v.InferOutput<typeof HEADER>;

const RECIPIENT = v.object({ header: v.optional(HEADER), encrypted_key: v.optional(v.string()) });
/** More than any image is encrypted for: each costs a key operation. */
const RECIPIENT_LIMIT = 64;
const MESSAGE = v.object({
  protected: v.optional(v.string(), ""),
  unprotected: v.optional(HEADER),
  header: v.optional(HEADER),
  encrypted_key: v.optional(v.string()),
  recipients: v.optional(v.pipe(v.array(RECIPIENT), v.maxLength(RECIPIENT_LIMIT))),
  aad: v.optional(v.string()),
  iv: v.string(),
  ciphertext: v.string(),
  tag: v.string(),
});

/** @returns the payload; undefined where none of its recipients is the key @throws where it is no such message */
export function decryptJwe(message: Bytes, key: KeyObject): Bytes | undefined {
  const jwe = v.parse(MESSAGE, JSON.parse(new TextDecoder().decode(message)));
  const shared = {
    ...jwe.unprotected,
    ...(jwe.protected === ""
      ? {}
      : v.parse(HEADER, JSON.parse(new TextDecoder().decode(decoded(jwe.protected))))),
  };
  const recipients = jwe.recipients ?? [{ header: jwe.header, encrypted_key: jwe.encrypted_key }];
  for (const { header: own, encrypted_key: encryptedKey = "" } of recipients) {
    const header = { ...own, ...shared };
    const gcm = GCM[header.enc ?? ""];
    if (gcm === undefined || header.crit !== undefined || header.zip !== undefined) continue;
    try {
      const contentKey = unwrapWith(key, header, decoded(encryptedKey), gcm.bytes);
      if (contentKey?.length !== gcm.bytes) continue;
      const tag = decoded(jwe.tag);
      if (tag.length !== GCM_TAG_BYTES) continue;
      const decipher = createDecipheriv(gcm.cipher, contentKey, decoded(jwe.iv));
      decipher.setAAD(Buffer.from(jwe.aad === undefined ? jwe.protected : `${jwe.protected}.${jwe.aad}`));
      decipher.setAuthTag(tag);
      return Buffer.concat([decipher.update(decoded(jwe.ciphertext)), decipher.final()]);
    } catch {
      // it is another's, or was changed: what exactly, none of these can tell
    }
  }
  return undefined;
}

function unwrapWith(key: KeyObject, header: Header, encrypted: Bytes, bytes: number): Bytes | undefined {
  const { alg = "" } = header;
  const oaepHash = OAEP_HASH[alg];
  if (oaepHash !== undefined) {
    if (key.asymmetricKeyType !== "rsa") return undefined;
    return privateDecrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, encrypted);
  }
  if (key.asymmetricKeyType !== "ec" || header.epk === undefined) return undefined;
  if (header.epk.crv !== key.export({ format: "jwk" }).crv) return undefined;
  const publicKey = createPublicKey({ key: header.epk, format: "jwk" });
  const secret = diffieHellman({ privateKey: key, publicKey });
  const { enc = "", apu = "", apv = "" } = header;
  if (alg === "ECDH-ES") return deriveKey(secret, enc, bytes, apu, apv);
  const wrap = KEY_WRAP[alg];
  if (wrap === undefined) return undefined;
  const unwrap = createDecipheriv(wrap.cipher, deriveKey(secret, alg, wrap.bytes, apu, apv), WRAP_IV);
  return Buffer.concat([unwrap.update(encrypted), unwrap.final()]);
}

/** Concat KDF, one round of which gives all that is ever asked for. @see RFC 7518, 4.6.2; NIST SP 800-56A, 5.8.1 */
function deriveKey(secret: Bytes, algorithm: string, bytes: number, apu = "", apv = ""): Bytes {
  const hash = createHash("sha256").update(uint32(1)).update(secret);
  for (const part of [new TextEncoder().encode(algorithm), decoded(apu), decoded(apv)]) {
    hash.update(uint32(part.length)).update(part);
  }
  return hash.update(uint32(bytes * 8)).digest().subarray(0, bytes);
}

function uint32(value: number): Bytes {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function encoded(content: string | Bytes): string {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content);
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

function decoded(text: string): Bytes {
  return Uint8Array.fromBase64(text, { alphabet: "base64url" });
}

/**
 * PKCS #7 enveloped data around a layer's key, as ocicrypt makes it: AES-128-GCM, its key encrypted for the
 * certificates' RSA keys by PKCS #1 v1.5.
 *
 * ```
 *  ContentInfo { envelopedData, [0] { version, recipients, { data, { aes-128-gcm, { nonce, 16 } }, [0] content } } }
 *  recipient { version, { issuer, serial number }, { rsaEncryption, NULL }, encrypted key }
 * ```
 *
 * @see RFC 2315, 10; RFC 5084; containers/ocicrypt, keywrap/pkcs7; go.mozilla.org/pkcs7, encrypt.go
 */

import { Buffer } from "node:buffer";
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
} from "node:crypto";
import { VerificationError } from "../errors.ts";

type Bytes = Uint8Array;

const TAG = {
  integer: 0x02,
  octets: 0x04,
  null: 0x05,
  oid: 0x06,
  sequence: 0x30,
  set: 0x31,
  first: 0xa0,
  goSequence: 0x10,
  goNonce: 0x84,
};
// go…: how go.mozilla.org/pkcs7 writes the parameters of AES-GCM, and what it reads alone
const OID = {
  envelopedData: "2a864886f70d010703",
  data: "2a864886f70d010701",
  rsaEncryption: "2a864886f70d010101",
  aes128Gcm: "608648016503040106",
};
/** By the object id of the cipher, in hex. */
const GCM: Record<string, { cipher: "aes-128-gcm" | "aes-192-gcm" | "aes-256-gcm"; bytes: number }> = {
  [OID.aes128Gcm]: { cipher: "aes-128-gcm", bytes: 16 },
  "60864801650304011a": { cipher: "aes-192-gcm", bytes: 24 },
  "60864801650304012e": { cipher: "aes-256-gcm", bytes: 32 },
};
const NONCE_BYTES = 12, TAG_BYTES = 16;
/** More than any image is encrypted for: each costs a key operation. */
const RECIPIENT_LIMIT = 64;

/** A certificate as far as it is needed. */
export interface Recipient {
  /** Encoded. */
  issuer: Bytes;
  serial: Bytes;
  key: KeyObject;
}

/** Reads a certificate in DER. @throws where it is none, or has another key than RSA's */
export function readCertificate(der: Bytes): Recipient {
  const [certificate] = readAll(der);
  const body = readAll(readAll(certificate!.content)[0]!.content);
  // the version is optional
  const fields = body[0]!.tag === TAG.first ? body.slice(1) : body;
  const [serial, , issuer, , , publicKey] = fields;
  if (serial?.tag !== TAG.integer || issuer?.tag !== TAG.sequence || publicKey?.tag !== TAG.sequence) {
    throw new VerificationError("it is no X.509 certificate");
  }
  const key = createPublicKey({ key: Buffer.from(publicKey.whole), format: "der", type: "spki" });
  if (key.asymmetricKeyType !== "rsa") throw new VerificationError("its key is not one of RSA");
  return { issuer: issuer.whole, serial: serial.whole, key };
}

export function encryptPkcs7(payload: Bytes, recipients: readonly Recipient[]): Bytes {
  const contentKey = crypto.getRandomValues(new Uint8Array(GCM[OID.aes128Gcm]!.bytes));
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const cipher = createCipheriv("aes-128-gcm", contentKey, nonce);
  const encrypted = Buffer.concat([cipher.update(payload), cipher.final(), cipher.getAuthTag()]);
  const version = der(TAG.integer, Uint8Array.of(0));
  const infos = recipients.map(({ issuer, serial, key }) =>
    der(
      TAG.sequence,
      version,
      der(TAG.sequence, issuer, serial),
      der(TAG.sequence, oid(OID.rsaEncryption), der(TAG.null)),
      der(TAG.octets, publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, contentKey)),
    )
  );
  const inner = der(TAG.sequence, der(TAG.goNonce, nonce), der(TAG.integer, Uint8Array.of(TAG_BYTES)));
  const parameters = der(TAG.goSequence, inner);
  const content = der(
    TAG.sequence,
    oid(OID.data),
    der(TAG.sequence, oid(OID.aes128Gcm), parameters),
    der(TAG.first, der(TAG.octets, encrypted)),
  );
  const enveloped = der(TAG.sequence, version, der(TAG.set, ...infos), content);
  return der(TAG.sequence, oid(OID.envelopedData), der(TAG.first, enveloped));
}

/** @returns the payload; undefined where none of its recipients is the key @throws where it is no such message */
export function decryptPkcs7(message: Bytes, key: KeyObject): Bytes | undefined {
  if (key.asymmetricKeyType !== "rsa") return undefined;
  const [type, wrapped] = readAll(only(message, TAG.sequence));
  if (type?.tag !== TAG.oid || hexOf(type.content) !== OID.envelopedData || wrapped?.tag !== TAG.first) {
    throw new VerificationError("it is no enveloped data");
  }
  const [, recipients, content] = readAll(only(wrapped.content, TAG.sequence));
  const [, algorithm, encrypted] = readAll(content?.content ?? new Uint8Array());
  const [cipherId, parameters] = readAll(algorithm?.content ?? new Uint8Array());
  const gcm = GCM[hexOf(cipherId?.content ?? new Uint8Array())];
  const own = parameters?.tag === TAG.goSequence
    ? only(parameters.content, TAG.sequence)
    : parameters?.content;
  const [nonce] = readAll(own ?? new Uint8Array());
  const isNonce = nonce?.tag === TAG.octets || nonce?.tag === TAG.goNonce;
  if (gcm === undefined || !isNonce || recipients?.tag !== TAG.set || encrypted === undefined) {
    throw new VerificationError("it is encrypted by another cipher than AES-GCM");
  }
  const bytes = joined(encrypted);
  for (const info of readAll(recipients.content).slice(0, RECIPIENT_LIMIT)) {
    const encryptedKey = readAll(info.content)[3];
    if (encryptedKey?.tag !== TAG.octets) continue;
    try {
      const padding = constants.RSA_PKCS1_PADDING;
      const contentKey = privateDecrypt({ key, padding }, encryptedKey.content);
      if (contentKey.length !== gcm.bytes) continue;
      const decipher = createDecipheriv(gcm.cipher, contentKey, nonce.content);
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      return Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]);
    } catch {
      // it is another's, or was changed: what exactly, none of these can tell
    }
  }
  return undefined;
}

interface Value {
  tag: number;
  content: Bytes;
  /** With tag and length. */
  whole: Bytes;
}

/** Values of definite length, one after the other. */
function readAll(bytes: Bytes): Value[] {
  const values: Value[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at]!;
    let length = bytes[at + 1] ?? 0xff;
    let start = at + 2;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 4 || (tag & 0x1f) === 0x1f) throw malformed();
      length = bytes.subarray(start, start + count).reduce((value, byte) => value * 256 + byte, 0);
      start += count;
    }
    const end = start + length;
    if (end > bytes.length) throw malformed();
    values.push({ tag, content: bytes.subarray(start, end), whole: bytes.subarray(at, end) });
    at = end;
  }
  return values;
}

function malformed(): VerificationError {
  return new VerificationError("its encoding is malformed");
}

function only(bytes: Bytes, tag: number): Bytes {
  const [value] = readAll(bytes);
  if (value?.tag !== tag) throw malformed();
  return value.content;
}

/** A string that may come in pieces. */
function joined({ tag, content }: Value): Bytes {
  return tag === TAG.first ? Buffer.concat(readAll(content).map((piece) => piece.content)) : content;
}

function der(tag: number, ...contents: Bytes[]): Bytes {
  const content = Buffer.concat(contents);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Uint8Array.of(tag, length), content]);
  const hex = length.toString(16);
  const size = Uint8Array.fromHex(hex.length % 2 ? `0${hex}` : hex);
  return Buffer.concat([Uint8Array.of(tag, 0x80 | size.length), size, content]);
}

function oid(hex: string): Bytes {
  return der(TAG.oid, Uint8Array.fromHex(hex));
}

function hexOf(bytes: Bytes): string {
  return new Uint8Array(bytes).toHex();
}

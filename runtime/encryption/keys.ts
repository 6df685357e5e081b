/**
 * The keys that layers are encrypted for and decrypted by, read from files.
 *
 * @see skopeo-copy(1), --encryption-key, --decryption-key; containers/ocicrypt, helpers/parse_helpers.go
 */

import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { hostReason, InvalidArgumentError, NotFoundError, UnsupportedError } from "../errors.ts";
import { printable } from "../spec/printable.ts";
import { isJweKey } from "./jwe.ts";
import type { PrivateRing } from "./openpgp.ts";
import { readCertificate, type Recipient } from "./pkcs7.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface PrivateKeys {
  keys: KeyObject[];
  rings: PrivateRing[];
}

/** By the way in which a layer's key is encrypted for them. */
export interface Recipients {
  jwe: KeyObject[];
  pkcs7: Recipient[];
  /** Names of keys of the caller's ring. */
  pgp: string[];
}

/** A key ring with everybody in it is larger, and no key that anybody decrypts by. */
const LIMIT_BYTES = 1 << 20;

/**
 * @param texts `FILE[:PASSPHRASE]`; the passphrase may be `pass=…`, `file=FILE` or `fd=NUMBER`
 * @throws {NotFoundError} {InvalidArgumentError} without a word of what is in the files
 */
export async function readDecryptionKeys(texts: readonly string[]): Promise<PrivateKeys> {
  const found: PrivateKeys = { keys: [], rings: [] };
  for (const text of texts) {
    const [, file = "", given] = /^([^:]*)(?::(.*))?$/s.exec(text) ?? [];
    const passphrase = given === undefined ? undefined : await passphraseOf(given);
    const what = `"${printable(file)}"`;
    const bytes = await readKeyFile("decryption", file);
    if (isPrivateRing(bytes)) {
      found.rings.push({ what, keys: bytes, passphrase });
      continue;
    }
    const key = readPrivateKey(what, bytes, passphrase);
    if (key !== undefined) found.keys.push(key);
  }
  return found;
}

async function passphraseOf(text: string): Promise<string> {
  const [, kind, value = ""] = /^(pass|file|fd)=(.*)$/s.exec(text) ?? [];
  if (kind === undefined) return text;
  if (kind === "pass") return value;
  if (kind === "fd" && !/^\d{1,9}$/.test(value)) {
    throw new InvalidArgumentError(`invalid decryption keys: fd=${printable(value)}: it is no descriptor`);
  }
  const bytes = await readKeyFile("decryption", kind === "fd" ? `/proc/self/fd/${value}` : value);
  // the end of the line that an editor or echo writes is no part of it
  return new TextDecoder().decode(bytes).replace(/\r?\n$/, "");
}

/** @param texts `jwe:FILE`, `pkcs7:FILE`, `pgp:NAME` */
export async function readRecipients(texts: readonly string[]): Promise<Recipients> {
  const found: Recipients = { jwe: [], pkcs7: [], pgp: [] };
  for (const text of texts) {
    const [, protocol, value] = /^([^:]*):(.*)$/s.exec(text) ?? [];
    if (protocol === undefined || !value) throw invalidRecipient("Invalid recipient format", text);
    if (protocol === "pgp") found.pgp.push(value);
    else if (protocol === "jwe") found.jwe.push(readPublicKey(text, await readKeyFile("encryption", value)));
    else if (protocol === "pkcs7") {
      found.pkcs7.push(readRecipientCertificate(text, await readKeyFile("encryption", value)));
    } else if (protocol === "pkcs11" || protocol === "provider") {
      throw new UnsupportedError(
        `invalid encryption keys: "${printable(text)}": ${protocol} is not available`,
        {
          hint: "encrypt for jwe:FILE, pkcs7:FILE or pgp:NAME",
        },
      );
    } else throw invalidRecipient("Provided protocol not recognized", text);
  }
  return found;
}

function invalidRecipient(why: string, text: string, cause?: unknown): InvalidArgumentError {
  return new InvalidArgumentError(`invalid encryption keys: "${printable(text)}": ${why}`, { cause });
}

async function readKeyFile(kind: string, file: string): Promise<Bytes> {
  const fail = (why: string, cause?: unknown) =>
    new InvalidArgumentError(`invalid ${kind} keys: "${printable(file)}": ${why}`, { cause });
  let bytes: Bytes;
  try {
    using open = await Deno.open(file, { read: true });
    bytes = new Uint8Array(LIMIT_BYTES + 1);
    let size = 0;
    for (let n: number | null = 0; n !== null && size < bytes.length; size += n ?? 0) {
      n = await open.read(bytes.subarray(size));
    }
    bytes = bytes.slice(0, size);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw fail(hostReason(cause), cause);
    const message = `invalid ${kind} keys: open ${printable(file)}: no such file or directory`;
    throw new NotFoundError("file", file, { cause, message });
  }
  if (bytes.length > LIMIT_BYTES) throw fail(`it is larger than ${LIMIT_BYTES} bytes`);
  return bytes;
}

/** Undefined for a certificate, which podman wants beside the key of one; here the key does. */
function readPrivateKey(what: string, bytes: Bytes, passphrase: string | undefined): KeyObject | undefined {
  const fail = (why: string, hint?: string) =>
    new InvalidArgumentError(`invalid decryption keys: ${what}: ${why}`, { hint });
  const pem = pemBlock(bytes);
  if (pem?.label === "CERTIFICATE") return undefined;
  const isShut = pem !== undefined && (pem.label.includes("ENCRYPTED") || /4,ENCRYPTED/.test(pem.text));
  if (isShut && passphrase === undefined) throw fail("missing password for encrypted private key");
  for (const input of inputsOf(bytes, pem, ["pkcs8", "pkcs1", "sec1"])) {
    try {
      const key = createPrivateKey({ ...input, ...(isShut ? { passphrase } : {}) } as never);
      if (isJweKey(key)) return key;
    } catch {
      // its error may quote what is in the file
    }
  }
  if (!isShut) throw fail("unidentified private key");
  // a cipher that is not known (3DES) fails in words that a wrong password may cause as well
  throw fail(
    "wrong password: could not decrypt private key",
    "if it is the right one, shut the key by a newer cipher: openssl pkcs8 -topk8 -v2 aes-256-cbc",
  );
}

function readPublicKey(text: string, bytes: Bytes): KeyObject {
  const pem = pemBlock(bytes);
  // of a private key, the public one could be made: who gives it has mistaken it
  if (!pem?.label.includes("PRIVATE") && pem?.label !== "CERTIFICATE") {
    for (const input of inputsOf(bytes, pem, ["spki"])) {
      try {
        if (input.format === "jwk" && Object.hasOwn(input.key as object, "d")) break;
        const key = createPublicKey(input as never);
        if (isJweKey(key)) return key;
      } catch {
        // the next form
      }
    }
  }
  throw invalidRecipient("File provided is not a public key", text);
}

function readRecipientCertificate(text: string, bytes: Bytes): Recipient {
  try {
    const pem = pemBlock(bytes);
    return readCertificate(pem === undefined ? bytes : Uint8Array.fromBase64(pem.body));
  } catch (cause) {
    throw invalidRecipient("File provided is not an x509 cert", text, cause);
  }
}

interface KeyInput {
  key: unknown;
  format: "pem" | "der" | "jwk";
  type?: string;
}

/** What the file may be: PEM, else a JWK, else DER. */
function inputsOf(bytes: Bytes, pem: PemBlock | undefined, types: readonly string[]): KeyInput[] {
  if (pem !== undefined) return [{ key: pem.text, format: "pem" }];
  if (/^\s*\{/.test(new TextDecoder().decode(bytes.subarray(0, 100)))) {
    try {
      return [{ key: JSON.parse(new TextDecoder().decode(bytes)), format: "jwk" }];
    } catch {
      return [];
    }
  }
  return types.map((type) => ({ key: Buffer.from(bytes), format: "der", type }));
}

interface PemBlock {
  label: string;
  text: string;
  /** Its base64. */
  body: string;
}

function pemBlock(bytes: Bytes): PemBlock | undefined {
  // keys of elliptic curves may have their parameters before them
  const blocks = new TextDecoder().decode(bytes)
    .matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([^-]*(?:-(?!----)[^-]*)*)-----END \1-----/g);
  for (const [text, label, body] of blocks) {
    if (label !== "EC PARAMETERS") {
      return { label: label!, text, body: body!.replace(/^[\s\S]*?\n\s*\n/, "") };
    }
  }
  return undefined;
}

/** The packet of a secret key, old and new form, or its armor. @see RFC 4880, 4.2, 6.2 */
function isPrivateRing(bytes: Bytes): boolean {
  const first = bytes[0] ?? 0;
  if ((first & 0xfc) === 0x94 || first === 0xc5) return true;
  return pemBlock(bytes)?.label === "PGP PRIVATE KEY BLOCK";
}

/**
 * Private keys of `--ssh ID=KEYFILE`, as ssh-keygen and openssl write them, and the signatures that an agent makes with
 * them.
 *
 * @see OpenSSH, PROTOCOL.key; RFC 4253, 6.6; RFC 5656, 3.1; RFC 8332, 3; RFC 8709
 */

import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject, sign } from "node:crypto";
import { concat } from "../../../ffi/concat.ts";
import { mpint, SshReader, sshString } from "./ssh_wire.ts";

export interface SshKey {
  /** The public half, as it goes over the wire. */
  blob: Uint8Array;
  /** @param flags SSH_AGENT_RSA_SHA2_256 or 512; none is SHA-1 for RSA, and nothing for other kinds */
  sign(data: Uint8Array, flags: number): Uint8Array;
}

/** Bits of a request to sign. @see draft-miller-ssh-agent, 4.5.1 */
const RSA_SHA2_256 = 2, RSA_SHA2_512 = 4;

interface Curve {
  name: string;
  crv: string;
  /** Of a coordinate. */
  bytes: number;
  hash: string;
}

const CURVES: readonly Curve[] = [
  { name: "nistp256", crv: "P-256", bytes: 32, hash: "sha256" },
  { name: "nistp384", crv: "P-384", bytes: 48, hash: "sha384" },
  { name: "nistp521", crv: "P-521", bytes: 66, hash: "sha512" },
];

const MAGIC = "openssh-key-v1\0";

/** What is wrong with a key file; its path is the caller's to name. */
export class KeyFileError extends Error {
  override name = "KeyFileError";
}

/** @throws {KeyFileError} */
export function readSshKey(text: string): SshKey {
  const block = /-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----([^]*?)-----END \1-----/.exec(text);
  if (block === null) throw new KeyFileError("it is neither the socket of an agent nor a private key");
  const [pem, kind = "", body = ""] = block;
  if (kind === "ENCRYPTED PRIVATE KEY" || /^\s*Proc-Type:\s*4,\s*ENCRYPTED/.test(body)) throw isProtected();
  try {
    if (kind !== "OPENSSH PRIVATE KEY") return keyOf(createPrivateKey(pem));
    return readOpensshKey(Uint8Array.fromBase64(body));
  } catch (cause) {
    if (cause instanceof KeyFileError) throw cause;
    throw new KeyFileError("it is malformed", { cause });
  }
}

/** In the words of x/crypto/ssh. */
function isProtected(): KeyFileError {
  return new KeyFileError("this private key is passphrase protected");
}

function readOpensshKey(bytes: Uint8Array): SshKey {
  const file = new SshReader(bytes);
  if (new TextDecoder().decode(file.take(MAGIC.length)) !== MAGIC) throw new KeyFileError("it is malformed");
  const [cipher, kdf] = [file.text(), file.text()];
  file.string();
  if (cipher !== "none" || kdf !== "none") throw isProtected();
  if (file.uint32() !== 1) throw new KeyFileError("it has not exactly one key");
  const blob = file.string();
  const inner = new SshReader(file.string());
  if (inner.uint32() !== inner.uint32()) throw new KeyFileError("it is malformed");
  const key = keyOf(createPrivateKey({ key: readJwk(inner.text(), inner), format: "jwk" }));
  if (key.blob.toHex() !== blob.toHex()) throw new KeyFileError("its halves are of two keys");
  return key;
}

/** What follows the name of the kind, as node:crypto takes it. */
function readJwk(kind: string, file: SshReader): JsonWebKey {
  if (kind === "ssh-ed25519") {
    const x = file.string();
    return { kty: "OKP", crv: "Ed25519", x: base64url(x), d: base64url(file.string().subarray(0, 32)) };
  }
  if (kind === "ssh-rsa") {
    const [n, e, d, qi, p, q] = Array.from({ length: 6 }, () => numberOf(file.string()));
    const encoded = (value: bigint) => base64url(bytesOf(value));
    return {
      kty: "RSA",
      n: encoded(n!),
      e: encoded(e!),
      d: encoded(d!),
      p: encoded(p!),
      q: encoded(q!),
      dp: encoded(d! % (p! - 1n)),
      dq: encoded(d! % (q! - 1n)),
      qi: encoded(qi!),
    };
  }
  const curve = CURVES.find(({ name }) => kind === `ecdsa-sha2-${name}`);
  if (curve === undefined) throw unknownKind(kind);
  file.string();
  const point = file.string();
  if (point[0] !== 4 || point.length !== 1 + 2 * curve.bytes) throw new KeyFileError("it is malformed");
  return {
    kty: "EC",
    crv: curve.crv,
    x: base64url(point.subarray(1, 1 + curve.bytes)),
    y: base64url(point.subarray(1 + curve.bytes)),
    d: base64url(bytesOf(numberOf(file.string()), curve.bytes)),
  };
}

function keyOf(key: KeyObject): SshKey {
  const { kty, crv, x = "", y = "", n = "", e = "" } = createPublicKey(key).export({ format: "jwk" });
  if (kty === "OKP" && crv === "Ed25519") {
    return {
      blob: concat([sshString("ssh-ed25519"), sshString(fromBase64url(x))]),
      sign: (data) => concat([sshString("ssh-ed25519"), sshString(sign(null, data, key))]),
    };
  }
  if (kty === "RSA") {
    return {
      blob: concat([sshString("ssh-rsa"), mpint(fromBase64url(e)), mpint(fromBase64url(n))]),
      sign(data, flags) {
        const [name, hash] = flags & RSA_SHA2_512
          ? ["rsa-sha2-512", "sha512"]
          : flags & RSA_SHA2_256
          ? ["rsa-sha2-256", "sha256"]
          : ["ssh-rsa", "sha1"];
        return concat([sshString(name), sshString(sign(hash, data, key))]);
      },
    };
  }
  const curve = CURVES.find((one) => kty === "EC" && one.crv === crv);
  if (curve === undefined) throw unknownKind(crv ?? String(key.asymmetricKeyType));
  const { name, hash, bytes } = curve;
  const kind = sshString(`ecdsa-sha2-${name}`);
  return {
    blob: concat([
      kind,
      sshString(name),
      sshString(new Uint8Array([4]), fromBase64url(x), fromBase64url(y)),
    ]),
    sign(data) {
      const pair = sign(hash, data, { key, dsaEncoding: "ieee-p1363" });
      return concat([kind, sshString(mpint(pair.subarray(0, bytes)), mpint(pair.subarray(bytes)))]);
    },
  };
}

function unknownKind(kind: string): KeyFileError {
  return new KeyFileError(`a key of kind "${kind}" is neither Ed25519 nor RSA nor ECDSA of a NIST curve`);
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x0${bytes.toHex()}`);
}

function bytesOf(value: bigint, length = 0): Uint8Array {
  const digits = value.toString(16);
  return Uint8Array.fromHex(digits.padStart(Math.max(2 * length, digits.length + digits.length % 2), "0"));
}

function base64url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

function fromBase64url(text: string): Uint8Array {
  return Uint8Array.fromBase64(text, { alphabet: "base64url" });
}

/**
 * Content digests: the one way a registry's text becomes a path or a comparison.
 *
 * @see OCI image-spec descriptor.md, digests
 */
import { InvalidArgumentError, VerificationError } from "../errors.ts";

/** `sha256:` or `sha512:` and lower-case hex of exactly the right length; safe as a file name after the colon. */
export type Digest = string & { readonly __digest: unique symbol };

export type DigestAlgorithm = "sha256" | "sha512";

const HEX_LENGTH: Readonly<Record<string, number>> = { sha256: 64, sha512: 128 };

/**
 * Checks a digest before anything is made of it.
 * @throws InvalidArgumentError for a wrong algorithm, length or spelling (CVE-2024-3727: `sha256:../../x`).
 */
export function parseDigest(text: unknown): Digest {
  const why = whyNoDigest(text);
  if (why !== null) throw new InvalidArgumentError(`parse digest ${quoteShort(text)}: ${why}`);
  return text as Digest;
}

export function isDigest(text: unknown): text is Digest {
  return whyNoDigest(text) === null;
}

/** The hexadecimal part. */
export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(":") + 1);
}

export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.slice(0, digest.indexOf(":")) as DigestAlgorithm;
}

/** node:crypto's, where whoever has loaded it lends it: that takes 13 ms, and the runtime's own hash a thread. */
type CreateHash = (algorithm: DigestAlgorithm) => {
  update(bytes: Uint8Array): { digest(encoding: "hex"): string };
};

let createHash: CreateHash | undefined;
/** More than that is not hashed in one go. */
const LENT_LIMIT_BYTES = 1 << 20;

export function lendHash(lent: CreateHash | undefined): void {
  createHash = lent;
}

/** The digest of bytes that are in memory. */
export async function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = "sha256"): Promise<Digest> {
  if (createHash !== undefined && bytes.length <= LENT_LIMIT_BYTES) {
    return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}` as Digest;
  }
  const name = algorithm === "sha256" ? "SHA-256" : "SHA-512";
  const hash = new Uint8Array(await crypto.subtle.digest(name, bytes as Uint8Array<ArrayBuffer>));
  return `${algorithm}:${hash.toHex()}` as Digest;
}

/** @throws VerificationError when the bytes are not what the digest (and the size, where given) says. */
export async function verifyBytes(
  what: string,
  bytes: Uint8Array,
  digest: Digest,
  size?: number,
): Promise<void> {
  if (size !== undefined && bytes.length !== size) {
    throw new VerificationError(`verify ${what}: it has ${bytes.length} bytes instead of ${size}`);
  }
  const found = await digestOf(bytes, digestAlgorithm(digest));
  if (found !== digest) throw new VerificationError(`verify ${what}: its digest is ${found}, not ${digest}`);
}

/** Nearly every one there is. */
const SHA256 = /^sha256:[0-9a-f]{64}$/;

function whyNoDigest(text: unknown): string | null {
  if (typeof text !== "string") return "it is no text";
  // at once: a table of contents has tens of thousands of them
  if (SHA256.test(text)) return null;
  const colon = text.indexOf(":");
  if (colon < 0) return "it has no algorithm";
  const algorithm = text.slice(0, colon);
  const length = Object.hasOwn(HEX_LENGTH, algorithm) ? HEX_LENGTH[algorithm]! : 0;
  if (length === 0) return "its algorithm is neither sha256 nor sha512";
  if (text.length !== colon + 1 + length) return `it needs ${length} hexadecimal digits`;
  for (let i = colon + 1; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (!((c >= 0x30 && c <= 0x39) || (c >= 0x61 && c <= 0x66))) {
      return "it needs lower-case hexadecimal digits";
    }
  }
  return null;
}

/** Hostile text for a message: bounded, and quoted so that control characters show as escapes. */
function quoteShort(text: unknown): string {
  if (typeof text !== "string") return String(JSON.stringify(text)).slice(0, 100);
  return JSON.stringify(text.length > 100 ? text.slice(0, 100) + "…" : text);
}

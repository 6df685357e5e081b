/**
 * A signature as it is found beside an image, nothing of it verified; and as one file, in a `dir:` or a lookaside.
 *
 * @see containers-signature(5); containers/image, docs/signature-protocols.md
 */

import { VerificationError } from "../errors.ts";

export type ImageSignature =
  /** An OpenPGP message with the claim in it. */
  | { kind: "simple"; message: Uint8Array<ArrayBuffer> }
  /** A claim whose signature is in an annotation beside it. */
  | {
    kind: "sigstore";
    mediaType: string;
    payload: Uint8Array<ArrayBuffer>;
    annotations: Readonly<Record<string, string>>;
  };

/** Of one signature, and how many of an image are looked at: both far above what real ones have. */
export const SIGNATURE_LIMITS = { bytes: 4 << 20, count: 128, totalBytes: 16 << 20 } as const;

export const SIGSTORE = {
  mediaType: "application/vnd.dev.cosign.simplesigning.v1+json",
  signature: "dev.cosignproject.cosign/signature",
  rekorEntry: "dev.sigstore.cosign/bundle",
} as const;

const SIGSTORE_FILE = new TextEncoder().encode("\0sigstore-json\n");

/** @throws {VerificationError} for bytes that are no signature */
export function parseSignatureFile(what: string, bytes: Uint8Array<ArrayBuffer>): ImageSignature {
  const fail = (why: string) => new VerificationError(`read signature ${what}: ${why}`);
  // every OpenPGP packet begins with this bit
  if ((bytes[0] ?? 0) >= 0x80) return { kind: "simple", message: bytes };
  if (bytes[0] !== 0) throw fail("it is no signature");
  if (!SIGSTORE_FILE.every((byte, at) => bytes[at] === byte)) throw fail("it is of an unknown format");
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(SIGSTORE_FILE.length)));
  } catch {
    json = null;
  }
  const { mimeType, payload, annotations } = (json ?? {}) as Record<string, unknown>;
  if (typeof mimeType !== "string" || typeof payload !== "string" || !isTexts(annotations ?? {})) {
    throw fail("it is no sigstore signature");
  }
  try {
    return {
      kind: "sigstore",
      mediaType: mimeType,
      payload: Uint8Array.fromBase64(payload),
      annotations: { ...annotations as Record<string, string> },
    };
  } catch {
    throw fail("its payload is not base64");
  }
}

export function signatureFile(signature: ImageSignature): Uint8Array<ArrayBuffer> {
  if (signature.kind === "simple") return signature.message;
  const { mediaType, payload, annotations } = signature;
  const json = JSON.stringify({ mimeType: mediaType, payload: payload.toBase64(), annotations });
  return new Uint8Array([...SIGSTORE_FILE, ...new TextEncoder().encode(json)]);
}

function isTexts(value: unknown): value is Record<string, string> {
  return typeof value === "object" && value !== null &&
    Object.values(value).every((one) => typeof one === "string");
}

/**
 * The word of a transparency log that it has seen a signature: a "signed entry timestamp" over an entry that names the
 * signed bytes, the signature and the key.
 *
 * @see cosign, specs/SIGNATURE_SPEC.md, "bundle"; rekor, hashedrekord 0.0.1; RFC 8785 (canonical JSON)
 */

import { digestOf } from "../spec/digest.ts";
import { exactFields, parseStrictJson } from "../spec/strict_json.ts";
import { isSignedBy, type PublicKey, readPublicKey } from "./public_key.ts";
import { RejectedSignature } from "./rejected.ts";

/** What the entry has to be about. */
export interface LoggedSignature {
  key: PublicKey;
  signature: Uint8Array;
  payload: Uint8Array;
}

/** @param text of the annotation @throws {RejectedSignature} */
export async function checkRekorEntry(
  logKeys: readonly PublicKey[],
  text: string,
  wanted: LoggedSignature,
): Promise<void> {
  try {
    const { SignedEntryTimestamp: stamp, Payload: payload } = exactFields(parseStrictJson(text), [
      "SignedEntryTimestamp",
      "Payload",
    ]);
    const { body, integratedTime, logID, logIndex } = exactFields(payload, [
      "body",
      "integratedTime",
      "logIndex",
      "logID",
    ]);
    if (typeof body !== "string" || typeof logID !== "string") {
      throw new SyntaxError("its entry is malformed");
    }
    if (!Number.isSafeInteger(integratedTime) || !Number.isSafeInteger(logIndex)) {
      throw new SyntaxError("its entry is malformed");
    }
    // the keys sorted, no blanks: canonical, as these values are texts and whole numbers
    const signed = new TextEncoder().encode(JSON.stringify({ body, integratedTime, logID, logIndex }));
    if (!logKeys.some((key) => isSignedBy(key, signed, base64(stamp)))) {
      throw new RejectedSignature("cryptographic signature verification of Rekor SET failed");
    }
    await checkRecord(parseStrictJson(new TextDecoder().decode(base64(body))), wanted);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new RejectedSignature(`the entry of the transparency log is malformed: ${error.message}`);
  }
}

async function checkRecord(json: unknown, wanted: LoggedSignature): Promise<void> {
  const { kind, apiVersion, spec } = exactFields(json, ["kind", "apiVersion", "spec"]);
  if (kind !== "hashedrekord" || apiVersion !== "0.0.1") {
    throw new SyntaxError("it is no hashedrekord of version 0.0.1");
  }
  const { signature, data } = exactFields(spec, ["signature", "data"]);
  const { content, publicKey } = exactFields(signature, ["content", "publicKey"]);
  const { content: keyText } = exactFields(publicKey, ["content"]);
  const { algorithm, value } = exactFields(exactFields(data, ["hash"]).hash, ["algorithm", "value"]);
  if (!isSame(derOf(base64(keyText)), wanted.key.der)) {
    throw new RejectedSignature("publicKey in Rekor SET does not match");
  }
  if (!isSame(base64(content), wanted.signature)) {
    throw new RejectedSignature("signature in Rekor SET does not match");
  }
  if (algorithm !== "sha256" || `sha256:${value}` !== await digestOf(wanted.payload)) {
    throw new RejectedSignature("payload in Rekor SET does not match");
  }
}

function derOf(pem: Uint8Array): Uint8Array {
  try {
    return readPublicKey("of the transparency log's entry", pem).der;
  } catch {
    throw new SyntaxError("its key is malformed");
  }
}

function base64(text: unknown): Uint8Array {
  if (typeof text !== "string") throw new SyntaxError("it is no text");
  return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

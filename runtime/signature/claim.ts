/**
 * What is signed: "this manifest may go by this name". Both kinds of signatures have the same document, but for its
 * type.
 *
 * @see containers-signature(5), "JSON data format"; cosign, specs/SIGNATURE_SPEC.md
 */

import { type Digest, isDigest } from "../spec/digest.ts";
import { exactFields, parseStrictJson } from "../spec/strict_json.ts";
import type { ImageSignature } from "./image_signature.ts";

export interface Claim {
  digest: Digest;
  /** As it was signed; nobody has looked at it yet. */
  reference: string;
}

const TYPES: Record<ImageSignature["kind"], string> = {
  simple: "atomic container signature",
  sigstore: "cosign container image signature",
};

/** As strict as where it comes from. @throws SyntaxError */
export function parseClaim(kind: ImageSignature["kind"], payload: Uint8Array): Claim {
  const text = new TextDecoder("utf-8", { fatal: true });
  let json: unknown;
  try {
    json = parseStrictJson(text.decode(payload));
  } catch (cause) {
    if (cause instanceof SyntaxError) throw cause;
    throw new SyntaxError("it is no UTF-8");
  }
  const { critical, optional } = exactFields(json, ["critical", "optional"]);
  // cosign writes null where there are no annotations
  if (!(kind === "sigstore" && optional === null)) checkOptional(optional);
  const { type, image, identity } = exactFields(critical, ["type", "image", "identity"]);
  if (type !== TYPES[kind]) throw new SyntaxError(`Unrecognized signature type ${JSON.stringify(type)}`);
  const digest = exactFields(image, ["docker-manifest-digest"])["docker-manifest-digest"];
  if (!isDigest(digest)) throw new SyntaxError("invalid docker-manifest-digest value");
  const reference = exactFields(identity, ["docker-reference"])["docker-reference"];
  if (typeof reference !== "string") throw new SyntaxError("invalid docker-reference value");
  return { digest, reference };
}

function checkOptional(optional: unknown): void {
  if (typeof optional !== "object" || optional === null || Array.isArray(optional)) {
    throw new SyntaxError("optional is no JSON object");
  }
  const { creator = "", timestamp = 0 } = optional as { creator?: unknown; timestamp?: unknown };
  if (typeof creator !== "string") throw new SyntaxError("Field optional.creator is no text");
  if (!Number.isSafeInteger(timestamp)) throw new SyntaxError("Field optional.timestamp is not an integer");
}

/** Keys in Go's order, as everybody else writes them. */
export function makeClaim(
  kind: ImageSignature["kind"],
  { digest, reference }: Claim,
  at: { creator: string; timestamp: number },
): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify({
    critical: {
      identity: { "docker-reference": reference },
      image: { "docker-manifest-digest": digest },
      type: TYPES[kind],
    },
    optional: at,
  }));
}

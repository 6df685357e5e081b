/**
 * Whether an image has the signatures that a policy asks for: of every requirement one that is genuine, is about this
 * manifest, and says its name.
 *
 * @see containers-policy.json(5)
 */

import type { KeySource, SignatureRequirement, SigstoreSigned } from "../config/policy_requirements.ts";
import type { SignatureDemands } from "../config/policy.ts";
import { hostReason, InvalidArgumentError, SkiffError } from "../errors.ts";
import type { Reference } from "../image/reference.ts";
import { digestAlgorithm, digestOf } from "../spec/digest.ts";
import { printable } from "../spec/printable.ts";
import { parseClaim } from "./claim.ts";
import { matchesIdentity } from "./identity.ts";
import { type ImageSignature, SIGSTORE } from "./image_signature.ts";
import { RejectedSignature } from "./rejected.ts";

export interface SignedImage {
  manifest: Uint8Array;
  /** The name that it was asked for by; a folder has none. */
  reference?: Reference;
}

/** Reasons that a message has room for. */
const SHOWN_REASONS = 4;

/** @throws {SkiffError} where a requirement is not met; nothing else of the image may be read then */
export async function checkSignatures(
  demands: SignatureDemands,
  image: SignedImage,
  signatures: readonly ImageSignature[],
  signal?: AbortSignal,
): Promise<void> {
  for (const requirement of demands.requirements) {
    const reasons = await whyRejected(requirement, image, signatures, signal);
    if (reasons === undefined) continue;
    throw new SkiffError(`Source image rejected: ${summary(reasons)}`, {
      hint: `the policy is ${demands.path}`,
    });
  }
}

/** A reason for each signature that does not count; undefined where one does. */
async function whyRejected(
  requirement: SignatureRequirement,
  image: SignedImage,
  signatures: readonly ImageSignature[],
  signal: AbortSignal | undefined,
): Promise<string[] | undefined> {
  const kind = requirement.type === "signedBy" ? "simple" : "sigstore";
  const candidates = signatures.filter((one) =>
    one.kind === kind && (one.kind !== "sigstore" || one.mediaType === SIGSTORE.mediaType)
  );
  if (candidates.length === 0) return [];
  await using verifier = requirement.type === "signedBy"
    ? await openPgpVerifier(requirement.keys, signal)
    : await sigstoreVerifier(requirement);
  const reasons: string[] = [];
  for (const signature of candidates) {
    try {
      await checkClaim(requirement, image, kind, await verifier.verify(signature));
      return undefined;
    } catch (error) {
      if (!(error instanceof RejectedSignature)) throw error;
      reasons.push(error.message);
    }
  }
  return reasons;
}

interface Verifier extends AsyncDisposable {
  /** The signed bytes. @throws {RejectedSignature} */
  verify(signature: ImageSignature): Promise<Uint8Array>;
}

async function checkClaim(
  { identity }: SignatureRequirement,
  image: SignedImage,
  kind: ImageSignature["kind"],
  payload: Uint8Array,
): Promise<void> {
  let claim;
  try {
    claim = parseClaim(kind, payload);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new RejectedSignature(`the signed text is malformed: ${printable(error.message, 200)}`);
  }
  const { digest, reference } = claim;
  if (await digestOf(image.manifest, digestAlgorithm(digest)) !== digest) {
    throw new RejectedSignature(`Signature for digest ${digest} does not match`);
  }
  if (!matchesIdentity(identity, image.reference, reference)) {
    throw new RejectedSignature(`Signature for identity ${printable(reference, 200)} is not accepted`);
  }
}

function summary(reasons: readonly string[]): string {
  if (reasons.length === 0) return "A signature was required, but no signature exists";
  if (reasons.length === 1) return reasons[0]!;
  const more = reasons.length > SHOWN_REASONS ? ` and ${reasons.length - SHOWN_REASONS} more` : "";
  return `None of the signatures were accepted, reasons: ${
    reasons.slice(0, SHOWN_REASONS).join("; ")
  }${more}`;
}

async function openPgpVerifier(keys: readonly KeySource[], signal?: AbortSignal): Promise<Verifier> {
  const { GpgRing } = await import("./gpg_ring.ts");
  const ring = await GpgRing.open(await Promise.all(keys.map(readKey)), signal);
  return {
    verify: (signature) => ring.verify((signature as ImageSignature & { kind: "simple" }).message),
    [Symbol.asyncDispose]: () => ring[Symbol.asyncDispose](),
  };
}

async function sigstoreVerifier({ keys, rekorKeys }: SigstoreSigned): Promise<Verifier> {
  const { readPublicKey } = await import("./public_key.ts");
  const { verifySigstore } = await import("./sigstore.ts");
  const read = (sources: readonly KeySource[]) =>
    Promise.all(sources.map(async (source) => readPublicKey(nameOf(source), await readKey(source))));
  const trust = { keys: await read(keys), rekorKeys: await read(rekorKeys) };
  return {
    verify: (signature) => verifySigstore(trust, signature as ImageSignature & { kind: "sigstore" }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function nameOf(source: KeySource): string {
  return "path" in source ? `"${printable(source.path)}"` : "in the policy";
}

async function readKey(source: KeySource): Promise<Uint8Array<ArrayBuffer>> {
  if ("data" in source) return source.data;
  try {
    return await Deno.readFile(source.path);
  } catch (cause) {
    throw new InvalidArgumentError(`read key ${nameOf(source)}: ${hostReason(cause)}`, { cause });
  }
}

/**
 * Fetches the signatures of an image and checks them as the policy asks. Loaded only where a policy asks.
 *
 * ```
 *  simple    GET /v2/                                    X-Registry-Supports-Signatures: 1
 *              GET /extensions/v2/NAME/signatures/DIGEST   {"signatures":[…]}
 *            else GET LOOKASIDE/NAME@sha256=HEX/signature-1, -2, … until 404
 *  sigstore  GET /v2/NAME/manifests/sha256-HEX.sig       each layer is what was signed
 * ```
 *
 * @see containers/image, docs/signature-protocols.md; cosign, specs/SIGNATURE_SPEC.md
 */

import type { SignatureDemands } from "../config/policy.ts";
import { type SignaturePlaces, signaturePlaces } from "../config/registries_d.ts";
import { NotFoundError, RegistryError, VerificationError } from "../errors.ts";
import { parseManifestDocument } from "../image/manifest.ts";
import type { Reference } from "../image/reference.ts";
import { checkSignatures } from "../signature/check.ts";
import {
  type ImageSignature,
  parseSignatureFile,
  SIGNATURE_LIMITS,
  SIGSTORE,
} from "../signature/image_signature.ts";
import { readSignatureFile } from "../signature/signature_files.ts";
import { type Digest, digestAlgorithm, digestHex } from "../spec/digest.ts";
import type { Descriptor } from "../spec/image.ts";
import { printable } from "../spec/printable.ts";
import { shownUrl } from "./address.ts";
import type { RegistryClient } from "./client.ts";
import { answerError } from "./error_answer.ts";
import { drain, readAll } from "./transport.ts";

/** @throws {SkiffError} where the policy is not satisfied: then nothing else of the image may be read */
export async function checkImageSignatures(
  client: RegistryClient,
  demands: SignatureDemands,
  image: { reference: Reference; manifest: Uint8Array; digest: Digest },
): Promise<void> {
  const { transport, source } = client.options;
  const { sources, signal } = transport.options;
  const { tag, digest } = image.reference;
  const tail = digest === undefined ? `:${tag}` : `@${digest}`;
  const places = await signaturePlaces(sources, `${source.host}/${source.path}`, tail);
  const asks = (type: string) => demands.requirements.some((one) => one.type === type);
  const found: ImageSignature[] = [];
  if (asks("signedBy")) found.push(...await simpleSignatures(client, places, image.digest));
  if (asks("sigstoreSigned") && places.useAttachments) {
    found.push(...await attachedSignatures(client, image.digest));
  }
  // the tag of a name that has a digest as well says nothing
  const reference = digest === undefined ? image.reference : { ...image.reference, tag: undefined };
  await checkSignatures(demands, { manifest: image.manifest, reference }, found, signal);
}

/** The tag under which cosign puts what belongs to a manifest. */
export function attachmentTag(digest: Digest): string {
  return `${digestAlgorithm(digest)}-${digestHex(digest)}.sig`;
}

/** The manifest of what is attached; undefined where there is none. */
export async function attachedManifest(client: RegistryClient, digest: Digest) {
  const what = `signatures of ${client.options.imageName}`;
  let fetched;
  try {
    fetched = await client.getManifest(attachmentTag(digest));
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
  const document = parseManifestDocument(what, fetched.bytes, fetched.contentType);
  if (document.kind !== "manifest") throw new VerificationError(`read ${what}: they are no OCI manifest`);
  return document.manifest;
}

async function attachedSignatures(client: RegistryClient, digest: Digest): Promise<ImageSignature[]> {
  const what = `signature of ${client.options.imageName}`;
  const manifest = await attachedManifest(client, digest);
  const layers = manifest?.layers.filter(({ mediaType }) => mediaType === SIGSTORE.mediaType) ?? [];
  const limit = new Limit(what);
  // before any is fetched
  for (const { size } of layers) limit.take(size);
  const found: ImageSignature[] = [];
  for (const layer of layers) found.push(await attachedSignature(client, what, layer));
  return found;
}

export async function attachedSignature(
  client: RegistryClient,
  what: string,
  layer: Descriptor,
): Promise<ImageSignature> {
  const payload = await client.getBlobBytes(what, layer, SIGNATURE_LIMITS.bytes);
  return {
    kind: "sigstore",
    mediaType: layer.mediaType,
    payload: payload as Uint8Array<ArrayBuffer>,
    annotations: layer.annotations ?? {},
  };
}

async function simpleSignatures(
  client: RegistryClient,
  places: SignaturePlaces,
  digest: Digest,
): Promise<ImageSignature[]> {
  if (await hasSignatureApi(client)) return await listApiSignatures(client, digest);
  const limit = new Limit(`signature of ${client.options.imageName}`);
  const found: ImageSignature[] = [];
  for (let number = 1;; number++) {
    const url = lookasideUrl(places, digest, number);
    const bytes = url.protocol === "file:"
      ? await readSignatureFile(decodeURIComponent(url.pathname))
      : await fetchSignature(client, url);
    if (bytes === undefined) return found;
    limit.take(bytes.length);
    found.push(parseSignatureFile(shownUrl(url), bytes));
  }
}

/** `BASE/NAME@sha256=HEX/signature-N`. */
export function lookasideUrl({ lookaside }: SignaturePlaces, digest: Digest, number: number): URL {
  const url = new URL(lookaside);
  url.pathname += `@${digestAlgorithm(digest)}=${digestHex(digest)}/signature-${number}`;
  return url;
}

/** The lookaside is another server, named by this machine: it gets no login, and has to have a real certificate. */
async function fetchSignature(
  client: RegistryClient,
  url: URL,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const { transport } = client.options;
  const what = `signature ${shownUrl(url)}`;
  const response = await transport.request({ method: "GET", url, insecure: false });
  if (response.status === 200) {
    return await readAll(what, response, SIGNATURE_LIMITS.bytes) as Uint8Array<ArrayBuffer>;
  }
  if (response.status !== 404) throw await answerError(`read ${what}`, response);
  await drain(response);
}

export async function hasSignatureApi(client: RegistryClient): Promise<boolean> {
  const response = await client.request({ path: "/v2/", headers: {} });
  await drain(response);
  return response.head.get("x-registry-supports-signatures") === "1";
}

export function signatureApiPath(client: RegistryClient, digest: Digest): string {
  return `/extensions/v2/${client.options.source.path}/signatures/${digest}`;
}

/** What one name in the API is to an image. */
export interface ApiSignature {
  schemaVersion: 2;
  name: string;
  type: "atomic";
  /** Base64. */
  content: string;
}

async function listApiSignatures(client: RegistryClient, digest: Digest): Promise<ImageSignature[]> {
  const what = `signatures of ${client.options.imageName}`;
  const fail = (why: string) => new VerificationError(`read ${what}: ${why}`);
  const response = await client.request({ path: signatureApiPath(client, digest), headers: {} });
  if (response.status !== 200) throw await answerError(`read ${what}`, response);
  const bytes = await readAll(what, response, SIGNATURE_LIMITS.bytes);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    json = null;
  }
  const list = (json as { signatures?: unknown } | null)?.signatures ?? [];
  if (json === null || !Array.isArray(list)) throw fail("the answer is no list of signatures");
  const limit = new Limit(what);
  const found: ImageSignature[] = [];
  for (const one of list as Partial<ApiSignature>[]) {
    if (one?.schemaVersion !== 2 || one.type !== "atomic" || typeof one.content !== "string") continue;
    limit.take(one.content.length);
    try {
      found.push({ kind: "simple", message: Uint8Array.fromBase64(one.content) });
    } catch {
      throw fail(`the one named ${printable(String(one.name), 80)} is not base64`);
    }
  }
  return found;
}

/** A registry that never ends its list of signatures, or sends large ones, is not followed for ever. */
class Limit {
  #count = 0;
  #bytes = 0;

  constructor(private readonly what: string) {}

  take(bytes: number): void {
    this.#bytes += bytes;
    if (++this.#count > SIGNATURE_LIMITS.count || this.#bytes > SIGNATURE_LIMITS.totalBytes) {
      throw new RegistryError(`read ${this.what}: there are more than can be signatures of one image`, 0);
    }
  }
}

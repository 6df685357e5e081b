/**
 * Puts signatures beside an image that is pushed: sigstore's as attachments in the same repository, GPG's through
 * the API of registries that have one for them, else into a lookaside that is a folder.
 *
 * @see containers/image, docs/signature-protocols.md; cosign, specs/SIGNATURE_SPEC.md
 */

import { type SignaturePlaces, signaturePlaces } from "../config/registries_d.ts";
import { InvalidArgumentError, UnsupportedError, VerificationError } from "../errors.ts";
import { formatReference, type Reference } from "../image/reference.ts";
import { type ImageSignature, SIGNATURE_LIMITS, signatureFile } from "../signature/image_signature.ts";
import { addSignatureFile } from "../signature/signature_files.ts";
import type { Signer } from "../signature/signers.ts";
import { type Digest, digestOf } from "../spec/digest.ts";
import { type Descriptor, DOCUMENT_LIMITS, type Manifest, MEDIA_TYPE } from "../spec/image.ts";
import { shownUrl } from "./address.ts";
import type { RegistryClient } from "./client.ts";
import { answerError } from "./error_answer.ts";
import {
  type ApiSignature,
  attachedManifest,
  attachedSignature,
  attachmentTag,
  hasSignatureApi,
  lookasideUrl,
  signatureApiPath,
} from "./image_signatures.ts";
import { pushBlob } from "./push_blob.ts";
import { putManifest } from "./push_manifest.ts";
import { drain } from "./transport.ts";

export class SignaturePush {
  private constructor(
    private readonly client: RegistryClient,
    private readonly reference: Reference,
    private readonly signers: readonly Signer[],
    private readonly places: SignaturePlaces,
    private readonly hasApi: boolean,
  ) {}

  /** @throws {UnsupportedError} where there is no place for a signature: before anything is pushed */
  static async prepare(
    client: RegistryClient,
    reference: Reference,
    signers: readonly Signer[],
  ): Promise<SignaturePush> {
    const { transport, source } = client.options;
    const { tag, digest } = reference;
    const tail = digest === undefined ? `:${tag}` : `@${digest}`;
    const name = `${source.host}/${source.path}`;
    const places = await signaturePlaces(transport.options.sources, name, tail, "write");
    const asks = (kind: Signer["kind"]) => signers.some((one) => one.kind === kind);
    if (asks("sigstore") && !places.useAttachments) {
      throw new UnsupportedError(
        `sign ${formatReference(reference)}: writing sigstore attachments is disabled by configuration`,
        { hint: "set use-sigstore-attachments in registries.d, containers-registries.d(5)" },
      );
    }
    const hasApi = asks("simple") && await hasSignatureApi(client);
    if (asks("simple") && !hasApi && places.lookaside.protocol !== "file:") {
      throw new UnsupportedError(
        `sign ${formatReference(reference)}: signatures cannot be sent to ${shownUrl(places.lookaside)}`,
        { hint: "name a folder as lookaside-staging in registries.d, containers-registries.d(5)" },
      );
    }
    return new SignaturePush(client, reference, signers, places, hasApi);
  }

  /**
   * Signs the manifest of that digest, which is not there yet: where it cannot be signed, it never is.
   *
   * @returns what sends the rest when it is there: the API of registries knows only what they have
   */
  async put(digest: Digest): Promise<() => Promise<void>> {
    const claim = { digest, reference: formatReference(this.reference) };
    const later: ImageSignature[] = [];
    for (const signer of this.signers) {
      const make = () => signer.sign(claim, this.client.options.transport.options.signal);
      if (signer.kind === "sigstore") {
        await this.#attach(digest, (known) => known.some((one) => signer.hasMade?.(one, claim)), make);
      } else if (this.hasApi) later.push(await make());
      else {
        const path = decodeURIComponent(lookasideUrl(this.places, digest, 1).pathname);
        await addSignatureFile(path.slice(0, path.lastIndexOf("/")), signatureFile(await make()));
      }
    }
    return async () => {
      for (const signature of later) await this.#putToApi(digest, signature);
    };
  }

  /** Adds to what is attached already. @param isThere whether one of them makes the new one needless */
  async #attach(
    digest: Digest,
    isThere: (known: ImageSignature[]) => boolean,
    make: () => Promise<ImageSignature>,
  ): Promise<void> {
    const { client } = this;
    const what = `signatures of ${formatReference(this.reference)}`;
    const before = await attachedManifest(client, digest);
    const known = before?.layers ?? [];
    if (known.length >= SIGNATURE_LIMITS.count) {
      throw new InvalidArgumentError(`add to ${what}: there are too many`);
    }
    if (isThere(await Promise.all(known.map((layer) => attachedSignature(client, what, layer))))) return;
    const signature = await make();
    if (signature.kind !== "sigstore") return;
    const layer = {
      ...await this.#putBlob(signature.mediaType, signature.payload),
      annotations: signature.annotations,
    };
    const layers: Descriptor[] = [...known, layer];
    const config = await this.#putBlob(
      MEDIA_TYPE.ociConfig,
      await this.#configFor(what, before, layer.digest),
    );
    const manifest: Manifest = {
      ...before,
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociManifest,
      config,
      layers,
    };
    const bytes = new TextEncoder().encode(JSON.stringify(manifest));
    await putManifest(client, what, attachmentTag(digest), bytes, MEDIA_TYPE.ociManifest);
  }

  async #configFor(
    what: string,
    before: Manifest | undefined,
    added: Digest,
  ): Promise<Uint8Array<ArrayBuffer>> {
    let old: Record<string, unknown> = { architecture: "", os: "", config: {} };
    if (before !== undefined) {
      const bytes = await this.client.getBlobBytes(
        `config of ${what}`,
        before.config,
        DOCUMENT_LIMITS.configBytes,
      );
      try {
        old = JSON.parse(new TextDecoder().decode(bytes)) ?? {};
      } catch (cause) {
        throw new VerificationError(`read config of ${what}: it is no JSON`, { cause });
      }
    }
    const ids = (old.rootfs as { diff_ids?: unknown } | undefined)?.diff_ids;
    const diffIds = [...Array.isArray(ids) ? ids : [], added];
    return new TextEncoder().encode(
      JSON.stringify({ ...old, rootfs: { type: "layers", diff_ids: diffIds } }),
    );
  }

  async #putBlob(mediaType: string, bytes: Uint8Array<ArrayBuffer>): Promise<Descriptor> {
    const digest = await digestOf(bytes), size = bytes.length;
    const path = await Deno.makeTempFile({ prefix: "skiff-signature-" });
    try {
      await Deno.writeFile(path, bytes);
      const signal = this.client.options.transport.options.signal ?? new AbortController().signal;
      await pushBlob(this.client, { digest, size, path, mountFrom: [] }, { signal });
    } finally {
      await Deno.remove(path);
    }
    return { mediaType, digest, size };
  }

  async #putToApi(digest: Digest, signature: ImageSignature): Promise<void> {
    if (signature.kind !== "simple") return;
    // what is known by a name stays: the name is new
    const name = `${digest}@${crypto.getRandomValues(new Uint8Array(16)).toHex()}`;
    const content = signature.message.toBase64();
    const body: ApiSignature = { schemaVersion: 2, name, type: "atomic", content };
    const response = await this.client.request({
      method: "PUT",
      path: signatureApiPath(this.client, digest),
      headers: { "Content-Type": "application/json" },
      body: new TextEncoder().encode(JSON.stringify(body)),
    });
    if (response.status !== 201) {
      throw await answerError(`add to signatures of ${formatReference(this.reference)}`, response);
    }
    await drain(response);
  }
}

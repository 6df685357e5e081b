/** `artifact pull` and `artifact push`: to and from registries, as every program that knows OCI artifacts has them. */

import { configSources } from "../config/sources.ts";
import { UnsupportedError, VerificationError } from "../errors.ts";
import { manifestAsImage } from "../image/archive/image_form.ts";
import { isEncrypted, parseManifestDocument } from "../image/manifest.ts";
import { formatReference, type Reference } from "../image/reference.ts";
import { imagesLockPath } from "../image/store.ts";
import { lockBlob } from "../registry/blob_lock.ts";
import type { RegistryClient } from "../registry/client.ts";
import { downloadBlob } from "../registry/download.ts";
import { askPolicy } from "../registry/image_policy.ts";
import { type PlaceOptions, tryPlaces } from "../registry/places.ts";
import { retryOf } from "../registry/retry.ts";
import { type Digest, digestOf } from "../spec/digest.ts";
import type { Descriptor, Manifest } from "../spec/image.ts";
import { printable } from "../spec/printable.ts";
import { putArtifact } from "../state/artifacts.ts";
import { takeLock } from "../state/locks.ts";
import { commitPartial, hasBlob, partialPath, writeBlob } from "../storage/blobs.ts";
import { fileDigest } from "../storage/file_digest.ts";
import { artifactName, artifactRow, getArtifact, readArtifact } from "./artifact_store.ts";
import type { Engine } from "./engine.ts";
import type { PullProgress } from "./pull.ts";
import { shown, signersOf, type SigningChoice } from "./push.ts";

export interface ArtifactTransferOptions extends Omit<PlaceOptions, "onStatus" | "retry" | "credentials"> {
  credentials?: { username: string; password: string };
  retries?: number;
  retryDelayMs?: number;
  /** Of a pull: for encrypted layers, `FILE[:PASSPHRASE]`; without any they stay encrypted. */
  decryptionKeys?: readonly string[];
  /** Of a push: sign what is pushed for the name that it goes to. */
  sign?: SigningChoice;
  progress?: (event: PullProgress) => void;
}

/** @returns the digest of its manifest */
export async function artifactPull(
  engine: Engine,
  text: string,
  options: ArtifactTransferOptions = {},
): Promise<Digest> {
  using _lock = (await takeLock(imagesLockPath(engine.folders), { shared: true, signal: options.signal }))!;
  const places = { ...options, retry: retryOf(options) };
  const { name, digest, manifest } = await tryPlaces(
    text,
    places,
    (client, reference) => pullFrom(engine, client, reference, options),
  );
  const db = await engine.database();
  await db.transaction(() => putArtifact(db, artifactRow(name, digest, manifest)));
  return digest;
}

async function pullFrom(
  engine: Engine,
  client: RegistryClient,
  reference: Reference,
  options: ArtifactTransferOptions,
): Promise<{ name: string; digest: Digest; manifest: Manifest }> {
  const { folders } = engine;
  const name = formatReference(reference);
  const checkManifest = await askPolicy(options.sources ?? configSources(), reference);
  const { bytes, digest, contentType } = await client.getManifest(reference.digest ?? reference.tag!);
  const document = parseManifestDocument(`manifest of ${name}`, bytes, contentType);
  if (document.kind === "index") {
    throw new UnsupportedError(`pull artifact ${name}: it is a list of images`, {
      hint: "pull one of its entries by digest; skiff manifest inspect shows them",
    });
  }
  await checkManifest(client, { bytes, digest });
  const fetched = { document, bytes, digest };
  const isOpened = options.decryptionKeys?.length && document.manifest.layers.some(isEncrypted);
  const artifact = isOpened
    ? await (await import("../registry/encrypted_layers.ts")).decryptImage(
      folders,
      client,
      name,
      fetched,
      options,
    )
    : fetched;
  const { manifest } = artifact.document;
  const blobs = new Map<Digest, Descriptor>();
  for (const one of [...manifest.layers, manifest.config]) {
    const known = blobs.get(one.digest);
    if (known !== undefined && known.size !== one.size) {
      throw new VerificationError(`pull artifact ${name}: blob ${one.digest} is described in two ways`);
    }
    blobs.set(one.digest, one);
  }
  for (const blob of blobs.values()) await pullBlob(engine, client, blob, options);
  await writeBlob(folders, artifact.bytes, artifact.digest);
  return { name, digest: artifact.digest, manifest };
}

async function pullBlob(
  { folders }: Engine,
  client: RegistryClient,
  { digest, size }: Descriptor,
  { signal, progress }: ArtifactTransferOptions,
): Promise<void> {
  const tell = (status: "exists" | "downloading" | "done", current: number) =>
    progress?.({ kind: "layer", digest, status, current, total: size });
  using _lock = await lockBlob(folders.locks, digest, { signal });
  if (hasBlob(folders, digest, size)) return tell("exists", size);
  const path = partialPath(folders, digest);
  for (let isAgain = false;; isAgain = true) {
    const resumed = await downloadBlob(client, {
      digest,
      size,
      path,
      signal,
      onGrow: (bytes) => tell("downloading", bytes),
    });
    if (await fileDigest(path, digest) === digest) break;
    await Deno.remove(path);
    // what was there of an earlier download may have been at fault
    if (resumed === 0 || isAgain) {
      throw new VerificationError(`verify blob ${digest.slice(0, 19)}: its digest is another`);
    }
  }
  await commitPartial(folders, digest);
  tell("done", size);
}

/** @param destination the default is the artifact's name. @returns the digest that it is found by there */
export async function artifactPush(
  engine: Engine,
  text: string,
  destination: string | undefined,
  options: ArtifactTransferOptions = {},
): Promise<Digest> {
  const { pushImages } = await import("../registry/push.ts");
  using _lock = (await takeLock(imagesLockPath(engine.folders), { shared: true, signal: options.signal }))!;
  const row = getArtifact(await engine.database(), text);
  const { bytes, mediaType, manifest } = await readArtifact(engine, row);
  const target = destination === undefined ? row.name : artifactName(destination.replace(/^docker:\/\//, ""));
  await pushImages(engine.folders, target, { images: [manifestAsImage(manifest, bytes, mediaType)] }, {
    tlsVerify: options.tlsVerify,
    authFile: options.authFile,
    credentials: options.credentials,
    certDir: options.certDir,
    signal: options.signal,
    retry: retryOf(options),
    signers: await signersOf(options.sign),
    progress: (event) => options.progress?.(shown(event)),
    onManifest: () =>
      options.progress?.({ kind: "status", text: `Writing manifest to ${printable(target)}` }),
  });
  return await digestOf(bytes);
}

/**
 * Pushes images of the store: blobs that the registry does not have, then manifests, then the name.
 *
 * @see OCI distribution-spec, Push
 */

import { pullSources } from "../config/registries_conf.ts";
import { InvalidArgumentError } from "../errors.ts";
import type { SavedImage } from "../image/archive/saved_files.ts";
import {
  formatReference,
  parseReference,
  type Reference,
  repositoryName,
  withDefaultTag,
} from "../image/reference.ts";
import type { Signer } from "../signature/signers.ts";
import { type Digest, digestOf } from "../spec/digest.ts";
import type { Folders } from "../state/folders.ts";
import { blobPath } from "../storage/blobs.ts";
import { type AccessOptions, openRegistries } from "./access.ts";
import type { ApiRequest, RegistryClient } from "./client.ts";
import { pushBlob, type PushedBlob, type PushProgress } from "./push_blob.ts";
import { leadsToManifest, manifestQuestion, putManifest } from "./push_manifest.ts";

export type { PushProgress } from "./push_blob.ts";

export interface PushedImages {
  images: readonly SavedImage[];
  /** Over several images: its bytes name the manifests of `images`. */
  index?: { bytes: Uint8Array; mediaType: string };
  /** The image was pushed to that repository before: where the name still leads to it, nothing is sent. */
  wasPushed?: boolean;
}

export interface PushOptions extends AccessOptions {
  /** Repositories of the same registry that may have a blob: paths without the host. */
  mountFrom?: (digest: Digest) => readonly string[];
  /** What makes the file of a blob that has none yet; called where the registry does not have it. */
  fileOf?: (digest: Digest) => PushedBlob["path"] | undefined;
  /** Sign each manifest, and the index, for the name that they are pushed to. */
  signers?: readonly Signer[];
  progress?: (event: PushProgress) => void;
  /** All blobs are there; `isThere`: the manifest as well. */
  onManifest?: (isThere: boolean) => void;
  /** Another attempt will be made. */
  onRetry?: (why: string, delayMs: number) => void;
  /** Blobs at a time. */
  parallel?: number;
}

const PARALLEL = 3;
/** Repositories that a token is asked for besides. */
const MOUNT_LIMIT = 8;

/**
 * Pushes images to the repository and tag of `destination`; with an index several.
 *
 * @param destination in full: `quay.io/team/app:1`, or with a digest instead of a tag
 * @param pushed what, or what finds that out; the registry is reached meanwhile
 * @returns the digest that the name leads to now
 * @throws UnauthorizedError, RegistryError; the signal's reason
 */
export async function pushImages(
  folders: Folders,
  destination: string,
  pushed: PushedImages | (() => Promise<PushedImages>),
  options: PushOptions = {},
): Promise<{ digest: Digest }> {
  const reference = withDefaultTag(parseReference(destination));
  using registries = await openRegistries({ ...options, isNamedInFull: true });
  const source = pullSources(registries.conf, repositoryName(reference), "tag")
    .find(({ isMirror }) => !isMirror)!;
  const mountFrom: string[] = [];
  const client = registries.client(source, reference, { onRetry: options.onRetry, push: { mountFrom } });
  const name = reference.tag ?? reference.digest!;
  const question = manifestQuestion(client, name);
  await client.reach(question);
  const { images, index, wasPushed = false } = typeof pushed === "function" ? await pushed() : pushed;
  if (images.length !== 1 && index === undefined) {
    throw new InvalidArgumentError(`push ${destination}: several images need an index`);
  }
  const digests = await Promise.all(images.map(({ manifestBytes }) => digestOf(manifestBytes)));
  const isThere = wasPushed && index === undefined && await leadsTo(client, question, digests[0]!);
  const blobs = isThere ? [] : blobsOf(folders, images, options);
  mountFrom.push(...[...new Set(blobs.flatMap(({ mountFrom }) => mountFrom))].slice(0, MOUNT_LIMIT));
  const signatures = await prepareSignatures(client, reference, options.signers ?? []);
  await pushAll(client, blobs, options);
  // a registry has the blobs of what it has: it takes no manifest without them
  if (isThere) tellOfAll(images, options);
  options.onManifest?.(isThere);
  const what = formatReference(reference);
  let digest: Digest | undefined;
  for (const [at, { manifestBytes, manifestType }] of images.entries()) {
    const own = digests[at]!;
    const place = index === undefined ? name : own;
    const signed = await signatures?.put(own);
    if (!isThere) await putManifest(client, what, place, manifestBytes, manifestType);
    await signed?.();
    digest = own;
  }
  if (index !== undefined) {
    const { bytes, mediaType } = index;
    digest = await digestOf(bytes);
    const signed = await signatures?.put(digest);
    await putManifest(client, what, name, bytes, mediaType);
    await signed?.();
  }
  return { digest: digest! };
}

/** A question that fails says nothing: then the manifest is put, which tells why it cannot be. */
async function leadsTo(client: RegistryClient, question: ApiRequest, digest: Digest): Promise<boolean> {
  return await leadsToManifest(client, question, digest).catch(() => false);
}

async function prepareSignatures(client: RegistryClient, reference: Reference, signers: readonly Signer[]) {
  if (signers.length === 0) return undefined;
  const { SignaturePush } = await import("./push_signatures.ts");
  return await SignaturePush.prepare(client, reference, signers);
}

/** Each blob once, the largest first: what takes longest begins first. */
function blobsOf(folders: Folders, images: readonly SavedImage[], options: PushOptions): PushedBlob[] {
  const found = new Map<Digest, PushedBlob>();
  for (const { layers, configDigest, configSize } of images) {
    const all: { digest: Digest; size: number; path?: string }[] = [
      ...layers,
      { digest: configDigest, size: configSize },
    ];
    for (const { digest, size, path } of all) {
      const mountFrom = options.mountFrom?.(digest) ?? [];
      found.set(digest, {
        digest,
        size,
        path: options.fileOf?.(digest) ?? path ?? blobPath(folders, digest),
        mountFrom,
      });
    }
  }
  return [...found.values()].toSorted((a, b) => b.size - a.size);
}

function tellOfAll(images: readonly SavedImage[], { progress }: PushOptions): void {
  for (const [digest, size] of images.flatMap(sizesOf)) {
    progress?.({ digest, status: "exists", current: size, total: size });
  }
}

function sizesOf({ layers, configDigest, configSize }: SavedImage): [Digest, number][] {
  const sizes = new Map(layers.map(({ digest, size }) => [digest, size]));
  return [...sizes.set(configDigest, configSize)];
}

async function pushAll(client: RegistryClient, blobs: PushedBlob[], options: PushOptions): Promise<void> {
  const queue = [...blobs];
  const ended = new AbortController();
  const signal = options.signal === undefined
    ? ended.signal
    : AbortSignal.any([options.signal, ended.signal]);
  const work = async () => {
    for (let blob = queue.shift(); blob !== undefined; blob = queue.shift()) {
      await pushBlob(client, blob, { signal, progress: options.progress });
    }
  };
  const workers = Array.from(
    { length: Math.min(options.parallel ?? PARALLEL, blobs.length) },
    () =>
      work().catch((error) => {
        ended.abort(error);
        throw error;
      }),
  );
  const failed = (await Promise.allSettled(workers)).find((result) => result.status === "rejected");
  options.signal?.throwIfAborted();
  // the first failure, not one that it has caused
  if (failed !== undefined) throw ended.signal.reason;
}

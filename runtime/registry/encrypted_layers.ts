/**
 * Makes of an encrypted image what it was before: its layers are fetched, decrypted, and in the store as they would
 * have come without encryption, as podman keeps them; its manifest names them.
 *
 * Where a key is missing nothing is fetched, and nothing is a blob before all layers are decrypted.
 */

import { withoutEncryption } from "../encryption/descriptor.ts";
import { readDecryptionKeys } from "../encryption/keys.ts";
import { decryptBytes, type LayerKey } from "../encryption/layer_cipher.ts";
import { unwrapLayerKey } from "../encryption/layer_keys.ts";
import { VerificationError } from "../errors.ts";
import { isEncrypted, plainType, refuseEncrypted } from "../image/manifest.ts";
import { type Digest, digestHex, digestOf } from "../spec/digest.ts";
import type { Descriptor, Manifest } from "../spec/image.ts";
import type { Folders } from "../state/folders.ts";
import { hasBlob, partialPath, publishBlob } from "../storage/blobs.ts";
import { DEFAULT_LAYER_LIMIT_BYTES } from "../storage/layers.ts";
import { lockBlob } from "./blob_lock.ts";
import type { RegistryClient } from "./client.ts";
import { downloadBlob } from "./download.ts";
import type { FetchedImage, PullOptions } from "./pull.ts";
import { keepOrRemove, removeIfThere } from "./pull_layers.ts";

const PARALLEL = 3;

export type DecryptionOptions = Pick<PullOptions, "decryptionKeys" | "signal" | "progress">;

/** @throws {SkiffError} where no key opens a layer; {VerificationError} where it is not what was encrypted */
export async function decryptImage(
  folders: Folders,
  client: RegistryClient,
  name: string,
  image: FetchedImage,
  options: DecryptionOptions,
): Promise<FetchedImage> {
  const { manifest } = image.document;
  if (!options.decryptionKeys?.length) refuseEncrypted(name, manifest.layers);
  const keys = await readDecryptionKeys(options.decryptionKeys!);
  const waiting: [at: number, key: LayerKey][] = [];
  for (const [at, layer] of manifest.layers.entries()) {
    if (!isEncrypted(layer)) continue;
    const what = nameOf(layer, name);
    // it is whole on the disk, twice, before anything unpacks it
    if (layer.size > DEFAULT_LAYER_LIMIT_BYTES) {
      throw new VerificationError(
        `decrypt ${what}: it is larger than the limit of ${DEFAULT_LAYER_LIMIT_BYTES} bytes`,
      );
    }
    waiting.push([at, await unwrapLayerKey(what, layer.annotations ?? {}, keys, options.signal)]);
  }
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  const made: Decrypted[] = [];
  const layers = [...manifest.layers];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [at, key] = next;
      const layer = layers[at]!;
      const plain = await fetchDecrypted(folders, client, nameOf(layer, name), layer, key, {
        ...options,
        signal,
      });
      made.push(plain);
      layers[at] = describe(layer, plain);
    }
  };
  const workers = Array.from({ length: Math.min(PARALLEL, waiting.length) }, () =>
    work().catch((error) => {
      stop.abort(error);
      throw error;
    }));
  try {
    const failed = (await Promise.allSettled(workers)).some(({ status }) => status === "rejected");
    options.signal?.throwIfAborted();
    // the first failure, not one that it has caused
    if (failed) throw stop.signal.reason;
    for (const { path, digest, size } of made) {
      if (!hasBlob(folders, digest, size)) await publishBlob(folders, path, digest);
    }
  } finally {
    for (const { path } of made) await removeIfThere(path);
  }
  // with what else is in it, an artifact's subject above all
  const whole: Manifest = JSON.parse(new TextDecoder().decode(image.bytes));
  const bytes = new TextEncoder().encode(JSON.stringify({ ...whole, layers } satisfies Manifest));
  return {
    bytes,
    digest: await digestOf(bytes),
    document: { ...image.document, manifest: { ...manifest, layers } },
  };
}

interface Decrypted {
  digest: Digest;
  size: number;
  /** A file of `blobs/partial`. */
  path: string;
}

async function fetchDecrypted(
  folders: Folders,
  client: RegistryClient,
  what: string,
  layer: Descriptor,
  key: LayerKey,
  options: DecryptionOptions & { signal: AbortSignal },
): Promise<Decrypted> {
  const { digest, size } = layer;
  const { signal } = options;
  const report = (status: "waiting" | "downloading" | "retrying" | "done", current: number) =>
    options.progress?.({ kind: "layer", digest, status, current, total: size });
  using _lock = await lockBlob(folders.locks, digest, { signal, onWait: () => report("waiting", 0) });
  const encrypted = partialPath(folders, digest);
  const path = `${folders.blobs}/partial/${digestHex(digest)}.${crypto.randomUUID()}`;
  for (;;) {
    let resumed = 0;
    try {
      resumed = await downloadBlob(client, {
        digest,
        size,
        path: encrypted,
        signal,
        onGrow: (total) => report("downloading", total),
        onRetry: () => report("retrying", 0),
      });
      using source = await Deno.open(encrypted, { read: true });
      const plain = await decryptBytes(what, { source, target: path, signal }, digest, key);
      report("done", size);
      await removeIfThere(encrypted);
      return { ...plain, path };
    } catch (error) {
      await removeIfThere(path);
      await keepOrRemove(encrypted, error, signal);
      // what an earlier download left may have been wrong
      if (!(error instanceof VerificationError) || resumed === 0) throw error;
    }
  }
}

function describe({ mediaType, annotations, ...rest }: Descriptor, { digest, size }: Decrypted): Descriptor {
  const kept = withoutEncryption(annotations);
  return { ...rest, mediaType: plainType(mediaType), digest, size, ...(kept && { annotations: kept }) };
}

function nameOf({ digest }: Descriptor, name: string): string {
  return `layer ${digest.slice(0, 19)} of ${name}`;
}

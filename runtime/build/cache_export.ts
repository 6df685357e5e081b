/** `--cache-to`: the steps of a build with their layers, into a folder or a registry. */

import { HostError, hostReason } from "../errors.ts";
import { digestHex } from "../spec/digest.ts";
import { type Manifest, MEDIA_TYPE } from "../spec/image.ts";
import { blobPath, writeBlob } from "../storage/blobs.ts";
import type { StepRecord } from "./cache.ts";
import { CACHE_CONFIG_TYPE, makeCacheDocument } from "./cache_document.ts";
import { cacheName, REF_NAME } from "./cache_import.ts";
import { provideBlob } from "./layer_blob.ts";
import type { BuildOptions, CacheTarget } from "./options.ts";
import type { BuildServices } from "./services.ts";
import type { BuiltLayer } from "./step.ts";
import type { LiveVertex, Vertices } from "./vertices.ts";

/** A cache as it is written: an image manifest whose config says what leads to which layer. */
interface CacheImage {
  manifest: Manifest;
  manifestBytes: Uint8Array<ArrayBuffer>;
  layers: BuiltLayer[];
}

/** @param records of the steps, for `mode=min` or `mode=max` */
export async function exportCaches(
  services: BuildServices,
  options: BuildOptions,
  records: (mode: "min" | "max") => readonly StepRecord[],
  vertices: Vertices,
  signal: AbortSignal,
): Promise<void> {
  for (const target of options.cacheTo) {
    if (target.type === "inline") continue; // the image's own document has it
    const where = target.type === "local" ? "client directory" : "registry";
    const exporting = vertices.run(`exporting cache to ${where}`, async (vertex) => {
      const image = await makeCacheImage(services, records(target.mode), signal);
      if (target.type === "local") await writeLocal(services, image, target.path, signal);
      else await pushCache(services, options, image, target, vertex, signal);
      vertex.progress(`writing cache to ${cacheName(target)}`, 0, undefined, true);
    });
    await exporting.catch((error) => {
      signal.throwIfAborted();
      if (!target.ignoreError) throw error;
      // the step is shown as failed, and the build goes on
      vertices.warn(`the cache was not exported to ${cacheName(target)}`);
    });
  }
}

async function makeCacheImage(
  services: BuildServices,
  records: readonly StepRecord[],
  signal: AbortSignal,
): Promise<CacheImage> {
  const { folders } = services;
  const unique = [...new Map(records.map((record) => [record.key, record])).values()];
  const { document, layers } = makeCacheDocument(unique);
  for (const layer of layers) await provideBlob(services, layer, signal);
  const config = encode(document);
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociManifest,
    config: { mediaType: CACHE_CONFIG_TYPE, digest: await writeBlob(folders, config), size: config.length },
    layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
  };
  return { manifest, manifestBytes: encode(manifest), layers };
}

async function pushCache(
  { folders }: BuildServices,
  { tlsVerify, authFile, credentials, certDir }: BuildOptions,
  { manifest, manifestBytes, layers }: CacheImage,
  { reference }: CacheTarget & { type: "registry" },
  vertex: LiveVertex,
  signal: AbortSignal,
): Promise<void> {
  const { pushImages } = await import("../registry/push.ts");
  const saved = {
    names: [],
    configDigest: manifest.config.digest,
    configSize: manifest.config.size,
    manifest,
    manifestBytes,
    manifestType: MEDIA_TYPE.ociManifest,
    layers,
  };
  await pushImages(folders, reference, { images: [saved] }, {
    tlsVerify,
    authFile,
    credentials,
    certDir,
    signal,
    progress: ({ digest, current, total }) =>
      vertex.progress(`writing layer ${digest}`, current, total, current === total),
  });
}

/** An OCI layout, to which every build adds: what other manifests of it need stays. */
async function writeLocal(
  { folders }: BuildServices,
  { manifest, manifestBytes, layers }: CacheImage,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await Deno.mkdir(`${path}/blobs/sha256`, { recursive: true });
    const digest = await writeBlob(folders, manifestBytes);
    for (const { digest, size } of [...layers, manifest.config]) {
      signal.throwIfAborted();
      await copyInto(`${path}/blobs/sha256/${digestHex(digest)}`, blobPath(folders, digest), size);
    }
    await copyInto(
      `${path}/blobs/sha256/${digestHex(digest)}`,
      blobPath(folders, digest),
      manifestBytes.length,
    );
    await replaceFile(`${path}/oci-layout`, encode({ imageLayoutVersion: "1.0.0" }));
    const entry = {
      mediaType: MEDIA_TYPE.ociManifest,
      digest,
      size: manifestBytes.length,
      annotations: { [REF_NAME]: "latest" },
    };
    // last of all: who reads meanwhile finds the old one whole
    await replaceFile(
      `${path}/index.json`,
      encode({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: [entry] }),
    );
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotADirectory)) {
      throw error;
    }
    throw new HostError(`write cache to "${path}": ${hostReason(error)}`, { cause: error });
  }
}

async function copyInto(target: string, source: string, size: number): Promise<void> {
  const info = await Deno.stat(target).catch(() => undefined);
  if (info?.size === size) return;
  const fresh = `${target}.${crypto.randomUUID()}`;
  try {
    await Deno.copyFile(source, fresh);
    await Deno.chmod(fresh, 0o644);
    await Deno.rename(fresh, target);
  } catch (error) {
    await Deno.remove(fresh).catch(() => {});
    throw error;
  }
}

async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const fresh = `${path}.${crypto.randomUUID()}`;
  await Deno.writeFile(fresh, bytes, { mode: 0o644 });
  await Deno.rename(fresh, path);
}

function encode(document: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(document));
}

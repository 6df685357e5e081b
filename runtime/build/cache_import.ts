/** `--cache-from`: caches in folders and registries, opened when a build begins; their layers come when they are needed. */

import { checkUnsigned, pathScopes } from "../config/policy.ts";
import { configSources } from "../config/sources.ts";
import { VerificationError } from "../errors.ts";
import { findBlob, openImageSource, readDocument } from "../image/archive/source.ts";
import { storeLayers } from "../image/archive/store_layers.ts";
import { parseManifestDocument } from "../image/manifest.ts";
import { choosePlatform, hostPlatform } from "../image/platform.ts";
import { askPolicy } from "../registry/image_policy.ts";
import { tryPlaces } from "../registry/places.ts";
import { pullLayers } from "../registry/pull_layers.ts";
import { digestAlgorithm, digestHex, verifyBytes } from "../spec/digest.ts";
import { type Descriptor, DOCUMENT_LIMITS, type Manifest } from "../spec/image.ts";
import { layerForm } from "../storage/layers.ts";
import type { CacheSource, StepRecord } from "./cache.ts";
import { CACHE_CONFIG_TYPE, type CachedSteps, readCacheDocument, readInlineCache } from "./cache_document.ts";
import type { BuildOptions, CacheTarget } from "./options.ts";
import type { BuildServices } from "./services.ts";
import type { BuiltLayer } from "./step.ts";
import type { Vertices } from "./vertices.ts";

interface OpenedCache {
  find(key: string): StepRecord | undefined;
  fetch(layer: BuiltLayer): Promise<void>;
}

/** A cache that cannot be had is told of, and no failure of the build. */
export async function importCaches(
  services: BuildServices,
  options: BuildOptions,
  vertices: Vertices,
  signal: AbortSignal,
): Promise<CacheSource[]> {
  const opened = await Promise.all(options.cacheFrom.map(async (from) => {
    const name = from.type === "local" ? from.path : from.type === "registry" ? from.reference : undefined;
    if (name === undefined) return undefined; // inline: an image's own, which is asked for by its name
    const open = () =>
      from.type === "local"
        ? openLocal(services, from.path, signal)
        : openRemote(services, options, name, signal);
    try {
      const { find, fetch } = await vertices.run(`importing cache manifest from ${name}`, open);
      return {
        find,
        fetch: async (layer: BuiltLayer) => {
          try {
            await fetch(layer);
            return true;
          } catch (error) {
            signal.throwIfAborted();
            vertices.warn(`fetch layer ${layer.digest} of cache ${name}: ${(error as Error).message}`);
            return false;
          }
        },
      };
    } catch (error) {
      signal.throwIfAborted();
      vertices.warn(`import cache from ${name}: ${(error as Error).message}`);
      return undefined;
    }
  }));
  return opened.filter((source) => source !== undefined);
}

/** The names of caches in folders and registries, for messages. */
export function cacheName(target: CacheTarget): string {
  return target.type === "local" ? target.path : target.type === "registry" ? target.reference : "image";
}

async function openLocal(services: BuildServices, path: string, signal: AbortSignal): Promise<OpenedCache> {
  const { folders, namespaces } = services;
  const steps = await (async () => {
    using source = await openImageSource(folders, path, { signal });
    const scopes = pathScopes(source.folder ?? source.file ?? path);
    await checkUnsigned(configSources(), { transport: "oci", name: `oci:${path}`, scopes });
    const top = source.find("index.json");
    if (top === undefined) throw new VerificationError(`read cache of ${path}: it has no index.json`);
    const listed = parseManifestDocument(
      `index.json of ${path}`,
      readDocument(path, top, DOCUMENT_LIMITS.manifestBytes),
      "",
    );
    if (listed.kind !== "index") {
      throw new VerificationError(`read cache of ${path}: its index.json is no index`);
    }
    const { index } = listed;
    const latest = index.manifests.find(({ annotations }) => annotations?.[REF_NAME] === "latest");
    const entry = latest ?? index.manifests[0];
    if (entry === undefined) throw new VerificationError(`read cache of ${path}: its index is empty`);
    const read = async (descriptor: Descriptor, limit: number) => {
      const bytes = readDocument(path, findBlob(source, blobName(descriptor), descriptor), limit);
      await verifyBytes(`blob of ${path}`, bytes, descriptor.digest, descriptor.size);
      return bytes;
    };
    const document = parseManifestDocument(
      `manifest of ${path}`,
      await read(entry, DOCUMENT_LIMITS.manifestBytes),
      entry.mediaType,
    );
    if (document.kind !== "manifest") throw new VerificationError(`read cache of ${path}: it is an index`);
    return readSteps(
      path,
      document.manifest,
      await read(document.manifest.config, DOCUMENT_LIMITS.configBytes),
    );
  })();
  const context = { folders, namespaces, form: layerForm(namespaces) };
  return {
    find: (key) => steps.get(key),
    async fetch(layer) {
      using source = await openImageSource(folders, path, { signal });
      const part = findBlob(source, blobName(layer), layer);
      await storeLayers(context, [{ ...layer, part }], { signal });
    },
  };
}

async function openRemote(
  services: BuildServices,
  { tlsVerify, authFile, credentials, certDir }: BuildOptions,
  name: string,
  signal: AbortSignal,
): Promise<OpenedCache> {
  const { folders, namespaces } = services;
  const places = { tlsVerify, authFile, credentials, certDir, signal };
  const steps = await tryPlaces(name, places, async (client, reference): Promise<CachedSteps> => {
    const checkManifest = await askPolicy(configSources(), reference);
    let { bytes, contentType, digest } = await client.getManifest(reference.digest ?? reference.tag!);
    let document = parseManifestDocument(`manifest of ${name}`, bytes, contentType);
    for (let depth = 0; document.kind === "index" && depth < DOCUMENT_LIMITS.indexDepth; depth++) {
      const entry = choosePlatform(name, document.index, hostPlatform());
      ({ bytes, contentType, digest } = await client.getManifest(entry.digest));
      document = parseManifestDocument(`manifest of ${name}`, bytes, contentType);
    }
    if (document.kind === "index") throw new VerificationError(`read cache of ${name}: it is an index`);
    // its layers become those of images
    await checkManifest(client, { bytes, digest });
    const { config } = document.manifest;
    const what = `config of ${name}`;
    return readSteps(
      name,
      document.manifest,
      await client.getBlobBytes(what, config, DOCUMENT_LIMITS.configBytes),
    );
  });
  const context = { folders, namespaces, form: layerForm(namespaces) };
  return {
    find: (key) => steps.get(key),
    fetch: (layer) => tryPlaces(name, places, (client) => pullLayers(context, client, [layer], { signal })),
  };
}

function readSteps(name: string, manifest: Manifest, config: Uint8Array): CachedSteps {
  return manifest.config.mediaType === CACHE_CONFIG_TYPE
    ? readCacheDocument(name, config, manifest)
    : readInlineCache(name, config, manifest);
}

export const REF_NAME = "org.opencontainers.image.ref.name";

function blobName({ digest }: Pick<Descriptor, "digest">): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}

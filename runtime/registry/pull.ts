/**
 * Pulls an image: resolves its name, chooses the platform, and gets its layers side by side, each unpacked while it
 * still comes.
 *
 * Order of things on disk: layers and their blobs first, each when verified; config and manifest last. What ends
 * early leaves layers that the next pull finds, and nothing that looks like an image.
 */
import { configSources } from "../config/sources.ts";
import { NotFoundError, UnsupportedError, VerificationError } from "../errors.ts";
import {
  checkImageManifest,
  type ImageLayer,
  isEncrypted,
  type ManifestDocument,
  pairLayers,
  parseManifestDocument,
} from "../image/manifest.ts";
import {
  choosePlatform,
  formatPlatform,
  hostPlatform,
  parsePlatform,
  platformFits,
} from "../image/platform.ts";
import { formatReference, type Reference } from "../image/reference.ts";
import type { Digest } from "../spec/digest.ts";
import {
  type Descriptor,
  DOCUMENT_LIMITS,
  type ImageConfig,
  type Manifest,
  type Platform,
} from "../spec/image.ts";
import { parseImageConfig } from "../spec/image_parse.ts";
import { blobPath, readBlob, writeBlob } from "../storage/blobs.ts";
import { layerBytes } from "../storage/layers.ts";
import type { FetchedManifest, RegistryClient } from "./client.ts";
import { askPolicy } from "./image_policy.ts";
import { type PlaceOptions, tryPlaces } from "./places.ts";
import { type LayerContext, pullLayers, type PullProgress } from "./pull_layers.ts";

export type { PullProgress } from "./pull_layers.ts";
export type PullContext = LayerContext;

export interface PullOptions extends Omit<PlaceOptions, "onStatus"> {
  /** `os/architecture[/variant]`; the default is this machine's. */
  platform?: string;
  progress?: (event: PullProgress) => void;
  /** Layers fetched at a time. */
  parallel?: number;
  /** For encrypted layers, `FILE[:PASSPHRASE]`; each is tried. */
  decryptionKeys?: readonly string[];
}

export interface PulledImage {
  /** The normalised reference, `docker.io/library/busybox:latest`. */
  name: string;
  /** Of the manifest of the chosen platform. */
  digest: Digest;
  /** Of the index it was chosen from. */
  indexDigest?: Digest;
  /** Where it was decrypted: of what the registry has, which is not kept. */
  encryptedDigests?: Digest[];
  /** The digest of the config. */
  imageId: Digest;
  config: ImageConfig;
  manifest: Manifest;
  /** Lowest first. */
  layers: ImageLayer[];
  /** Bytes of the layers unpacked, as podman and docker count them. */
  size: number;
}

/**
 * Pulls an image into the store; the caller records it in the database.
 *
 * @param text as the user wrote it
 * @throws NotFoundError, UnauthorizedError, RegistryError, VerificationError, HostError; the signal's reason
 */
export async function pullImage(
  context: PullContext,
  text: string,
  options: PullOptions = {},
): Promise<PulledImage> {
  const wanted = options.platform === undefined ? hostPlatform() : parsePlatform(options.platform);
  return await tryPlaces(
    text,
    options,
    (client, reference) => pullFrom(client, reference, context, wanted, options),
  );
}

async function pullFrom(
  client: RegistryClient,
  reference: Reference,
  context: PullContext,
  wanted: Platform,
  options: PullOptions,
): Promise<PulledImage> {
  const name = formatReference(reference);
  const { folders } = context;
  const checkManifest = await askPolicy(options.sources ?? configSources(), reference);
  const top = await fetchTop(client, reference, context);
  const index = top.document.kind === "index" ? top : undefined;
  const fetched = await descend(client, name, top, wanted);
  await checkManifest(client, fetched);
  checkImageManifest(name, fetched.document.manifest);
  const chosen = fetched.document.manifest.layers.some(isEncrypted)
    ? await (await import("./encrypted_layers.ts")).decryptImage(folders, client, name, fetched, options)
    : fetched;
  const { manifest } = chosen.document;
  const configBytes = await fetchConfig(client, name, manifest.config, context);
  const config = parseImageConfig(`config of ${name}`, configBytes);
  checkPlatform(name, config, wanted, index !== undefined, options);
  const layers = pairLayers(name, manifest, config);

  await pullLayers(context, client, layers, {
    signal: options.signal,
    progress: options.progress,
    parallel: options.parallel,
  });

  await writeBlob(folders, configBytes, manifest.config.digest);
  await writeBlob(folders, chosen.bytes, chosen.digest);
  const isAsFetched = chosen === fetched;
  if (index !== undefined && isAsFetched) await writeBlob(folders, index.bytes, index.digest);
  return {
    name,
    digest: chosen.digest,
    ...(isAsFetched
      ? { indexDigest: index?.digest }
      : { encryptedDigests: [fetched, ...(index === undefined ? [] : [index])].map(({ digest }) => digest) }),
    imageId: manifest.config.digest,
    config,
    manifest,
    layers,
    size: layers.reduce(
      (sum, { diffId, size }) => sum + (layerBytes(folders, diffId, context.form) ?? size),
      0,
    ),
  };
}

interface FetchedDocument<D extends ManifestDocument = ManifestDocument> {
  document: D;
  bytes: Uint8Array;
  digest: Digest;
}

export type FetchedImage = FetchedDocument<ManifestDocument & { kind: "manifest" }>;

/** The manifest or index a name points to; a pinned one that is here already is not asked for again. */
async function fetchTop(
  client: RegistryClient,
  reference: Reference,
  context: PullContext,
): Promise<FetchedDocument> {
  const what = `manifest of ${formatReference(reference)}`;
  const { digest } = reference;
  let fetched: FetchedManifest | undefined;
  const bytes = digest === undefined
    ? null
    : await readSmallBlob(context, digest, DOCUMENT_LIMITS.manifestBytes);
  if (digest !== undefined && bytes !== null) fetched = { bytes, contentType: "", digest };
  fetched ??= await client.getManifest(digest ?? reference.tag!);
  return { ...fetched, document: parseManifestDocument(what, fetched.bytes, fetched.contentType) };
}

/** From an index down to the manifest for a platform. */
async function descend(
  client: RegistryClient,
  name: string,
  top: FetchedDocument,
  wanted: Platform,
): Promise<FetchedImage> {
  let { document, bytes, digest } = top;
  for (let depth = 0; document.kind === "index"; depth++) {
    if (depth === DOCUMENT_LIMITS.indexDepth) {
      throw new VerificationError(`use ${name}: its indexes are nested more than ${depth} deep`);
    }
    const entry = choosePlatform(name, document.index, wanted);
    ({ document, bytes, digest } = await fetchEntry(client, name, entry));
  }
  return { document, bytes, digest };
}

/** An entry of an index: what it describes and what comes have to be the same in digest, size and type. */
async function fetchEntry(client: RegistryClient, name: string, entry: Descriptor): Promise<FetchedDocument> {
  const what = `manifest ${entry.digest.slice(0, 19)}… of ${name}`;
  const { bytes, contentType, digest } = await client.getManifest(entry.digest);
  if (bytes.length !== entry.size) {
    throw new VerificationError(`verify ${what}: it has ${bytes.length} bytes instead of ${entry.size}`);
  }
  const document = parseManifestDocument(what, bytes, contentType);
  if (document.mediaType !== entry.mediaType) {
    throw new VerificationError(
      `read ${what}: it is ${document.mediaType}, its index says ${entry.mediaType}`,
    );
  }
  return { document, bytes, digest };
}

async function fetchConfig(
  client: RegistryClient,
  name: string,
  descriptor: Descriptor,
  context: PullContext,
): Promise<Uint8Array> {
  const stored = await readSmallBlob(context, descriptor.digest, DOCUMENT_LIMITS.configBytes);
  if (stored !== null && stored.length === descriptor.size) return stored;
  return await client.getBlobBytes(`config of ${name}`, descriptor, DOCUMENT_LIMITS.configBytes);
}

/** A stored document, null where it is not there or rotten. A name may point at a layer of any size: that is none. */
async function readSmallBlob(
  context: PullContext,
  digest: Digest,
  limitBytes: number,
): Promise<Uint8Array | null> {
  const info = await Deno.lstat(blobPath(context.folders, digest)).catch(() => null);
  if (info === null || info.size > limitBytes) return null;
  return await readBlob(context.folders, digest).catch(() => null);
}

/**
 * Another system's image is refused; another processor's only when a platform was asked for and no index has
 * promised it: configs that name no variant, or a wrong one, are common below indexes that are right.
 */
function checkPlatform(
  name: string,
  config: ImageConfig,
  wanted: Platform,
  isPromised: boolean,
  options: PullOptions,
): void {
  if (config.os !== "linux") {
    throw new UnsupportedError(`use ${name}: it is for ${formatPlatform(config)}, not for linux`);
  }
  const { variant = wanted.variant } = config;
  if (platformFits({ ...config, variant }, wanted)) return;
  if (options.platform !== undefined && !isPromised) {
    throw new NotFoundError("image", name, {
      message: `choose an image of ${name}: it is for ${formatPlatform(config)}, not for ${
        formatPlatform(wanted)
      }`,
    });
  }
  options.progress?.({
    kind: "status",
    text: `${name} is for ${formatPlatform(config)}; ${
      options.platform === undefined ? "this machine is" : "its index says"
    } ${formatPlatform(wanted)}`,
  });
}

/** `push`: sends an image of the store to a registry, or writes it into an archive or folder. */

import { configSources } from "../config/sources.ts";
import { ConflictError, InvalidArgumentError, NotFoundError, VerificationError } from "../errors.ts";
import { compressionOf, type Packing } from "../archive/packing.ts";
import { convertedImage } from "../image/archive/image_form.ts";
import type { SavedImage } from "../image/archive/saved_files.ts";
import { type Dialect, dialectOf, mediaTypeIn } from "../image/convert_manifest.ts";
import { parseManifestDocument } from "../image/manifest.ts";
import { formatPlatform } from "../image/platform.ts";
import { formatReference, parseReference, type Reference, repositoryName } from "../image/reference.ts";
import { getStoredImage, HOST_IMAGE, imagesLockPath } from "../image/store.ts";
import { pushImages, type PushProgress } from "../registry/push.ts";
import type { PushedBlob } from "../registry/push_blob.ts";
import { retryOf } from "../registry/retry.ts";
import { type Digest, digestOf } from "../spec/digest.ts";
import { MEDIA_TYPE } from "../spec/image.ts";
import { printable } from "../spec/printable.ts";
import type { Database } from "../state/db.ts";
import { recordEvent } from "../state/events.ts";
import {
  findImageByManifest,
  hasRepoDigest,
  type ImageRow,
  listNamesWithLayer,
  putRepoDigest,
} from "../state/images.ts";
import { takeLock } from "../state/locks.ts";
import type { Signer, SigningOptions } from "../signature/signers.ts";
import { readBlob } from "../storage/blobs.ts";
import type { Encryption, LayerEncryption } from "./encrypted_push.ts";
import type { Engine } from "./engine.ts";
import { type FileDestination, parsePushDestination, type PushDestination } from "./push_destination.ts";
import { pushDefaults } from "./push_defaults.ts";
import { PackedOtherwise, PushLayers } from "./push_layers.ts";
import type { PullProgress } from "./pull.ts";
import { savedImage } from "./saved_image.ts";
import { VERSION } from "./version.ts";

/** Whose keys sign. */
export type SigningChoice = Omit<SigningOptions, "creator">;

export interface PushOptions {
  /** Every platform of the index that the image is of. */
  all?: boolean;
  /** Kind of the manifest; the default is the stored one, which keeps the digest. */
  format?: Dialect;
  /** How layers are packed; the default leaves those that are packed as they are, and takes gzip for the others. */
  packing?: Packing;
  /** Of a list: its images packed in these ways, too, where it has none so for their platform. */
  addPacking?: readonly Packing["format"][];
  /** Encrypt layers; what is pushed then has another digest each time. */
  encryption?: Encryption;
  /** To a `dir:`: pack layers that are not packed. */
  compress?: boolean;
  tlsVerify?: boolean;
  authFile?: string;
  /** Instead of a login of the auth files. */
  credentials?: { username: string; password: string };
  /** Certificates are there instead of in certs.d. */
  certDir?: string;
  /** Sign what is pushed, at a registry for the name that it goes to. */
  sign?: SigningChoice;
  /** Attempts after the first one of what may pass. */
  retries?: number;
  retryDelayMs?: number;
  signal?: AbortSignal;
  progress?: (event: PullProgress) => void;
}

/** What is pushed: several with an index over them. */
export interface Pushed {
  images: SavedImage[];
  index?: { bytes: Uint8Array; mediaType: string };
}

/**
 * Pushes the image that `source` leads to. Where nothing is packed or converted, it has the digest that it was
 * pulled by.
 *
 * @param destination a name at a registry or `transport:details`; the default is `source`
 * @returns the digest that it is found by there; none in a docker-archive, which has no manifest
 */
export async function push(
  engine: Engine,
  source: string,
  destination: string = source,
  options: PushOptions = {},
): Promise<{ digest?: Digest }> {
  if (source === HOST_IMAGE) {
    throw new ConflictError(`push image "${HOST_IMAGE}": it is built in, made of this machine's own folders`);
  }
  using _lock = (await takeLock(imagesLockPath(engine.folders), { shared: true, signal: options.signal }))!;
  const db = await engine.database();
  const { image } = getStoredImage(db, source);
  if (image.list !== undefined) {
    if (options.encryption !== undefined) {
      throw new InvalidArgumentError(
        `push ${printable(source)}: a list is not encrypted, but each of its images`,
      );
    }
    const { pushList } = await import("./manifest_push.ts");
    return await pushList(engine, db, image, destination, { ...options, all: true });
  }
  const target = parsePushDestination(destination);
  checkOptions(destination, target, options);
  const { packing: usual } = await pushDefaults(options);
  await using layers = new PushLayers(engine, db, options.packing, { usual, signal: options.signal });
  await using encryption = await openEncryption(engine, options);
  const context = { engine, db, layers, options, encryption };
  const digest = target.transport === "docker"
    ? await pushToRegistry(context, image, target.reference)
    : await pushToFiles(context, image, target);
  recordEvent(engine.folders, { type: "image", action: "push", id: image.id, name: destination });
  return { digest };
}

interface Context {
  engine: Engine;
  db: Database;
  layers: PushLayers;
  options: PushOptions;
  encryption?: LayerEncryption | null;
}

async function openEncryption(
  engine: Engine,
  { encryption, signal }: PushOptions,
): Promise<LayerEncryption | null> {
  if (encryption === undefined) return null;
  return await (await import("./encrypted_push.ts")).LayerEncryption.open(engine.folders, encryption, signal);
}

export function nothingToSign(destination: string): InvalidArgumentError {
  return new InvalidArgumentError(
    `push to "${printable(destination)}": what is signed is a name at a registry, and there is none`,
    { hint: "push to a registry" },
  );
}

/** What the destination has no room for. */
function checkOptions(destination: string, { transport }: PushDestination, options: PushOptions): void {
  const fail = (why: string, hint?: string) =>
    new InvalidArgumentError(`push to "${printable(destination)}": ${why}`, { hint });
  const { format, packing, all, encryption } = options;
  if (encryption !== undefined && (transport === "docker-archive" || format === "docker")) {
    throw fail(
      "encrypted layers are only in OCI manifests",
      "push to a registry or oci-archive:, with --format oci",
    );
  }
  if (transport === "docker-archive" && (format === "oci" || packing !== undefined)) {
    throw fail("a docker-archive has neither an OCI manifest nor packed layers", "push to oci-archive:");
  }
  if (transport.startsWith("oci") && format === "docker") {
    throw fail("an OCI layout has OCI manifests", "leave out --format, or push to dir:");
  }
  if (transport !== "docker" && all) throw fail("--all is for registries");
  if (transport !== "docker" && options.sign !== undefined) throw nothingToSign(destination);
  if (format === "docker" && packing !== undefined && compressionOf(packing) === "zstd") {
    throw fail("a v2s2 manifest has no layers packed with zstd", "use --format oci");
  }
}

async function pushToRegistry(context: Context, row: ImageRow, reference: Reference): Promise<Digest> {
  // what is encrypted has to be there
  const isRecalled = !context.encryption;
  return await sendToRegistry(context, row.id, reference, () => choose(context, row, isRecalled));
}

/** Where blobs may come from besides the store and its images' repositories. */
export interface MoreSources {
  mountFrom?: (blob: Digest, reference: Reference) => string[];
  fileOf?: (blob: Digest) => PushedBlob["path"] | undefined;
}

/** @param choose what is pushed; asked again where a layer that was packed before comes out otherwise */
export async function sendToRegistry(
  context: Context & MoreSources,
  id: string,
  reference: Reference,
  choose: () => Promise<Pushed>,
): Promise<Digest> {
  const { engine, db, layers, options } = context;
  const name = formatReference(reference);
  const signers = await signersOf(options.sign);
  for (let isLast = false;; isLast = true) {
    let configs = new Set<Digest>();
    let isKnown = false;
    const chooseOnce = async () => {
      const { images, index } = await choose();
      const digest = await digestOf(index?.bytes ?? images[0]!.manifestBytes);
      if (reference.digest !== undefined && reference.digest !== digest) {
        throw new InvalidArgumentError(
          "Digest of source image's manifest would not match destination reference",
        );
      }
      configs = new Set(images.map(({ configDigest }) => configDigest));
      isKnown = hasRepoDigest(db, `${repositoryName(reference)}@${digest}`, id);
      return { images, index, wasPushed: isKnown };
    };
    let digest: Digest;
    try {
      ({ digest } = await pushImages(engine.folders, name, chooseOnce, {
        tlsVerify: options.tlsVerify,
        authFile: options.authFile,
        credentials: options.credentials,
        certDir: options.certDir,
        signers,
        retry: retryOf(options),
        mountFrom: (layer) => [
          ...context.mountFrom?.(layer, reference) ?? [],
          ...otherRepositories(db, layers.storedDigest(layer), reference),
        ],
        fileOf: (blob) => layers.fileOf(blob) ?? context.fileOf?.(blob),
        signal: options.signal,
        progress: (event) => void (!configs.has(event.digest) && options.progress?.(shown(event))),
        onManifest: (isThere) =>
          options.progress?.({
            kind: "status",
            text: "Writing manifest to image destination",
            isLast: isThere,
          }),
        onRetry: (why, delayMs) =>
          options.progress?.({
            kind: "status",
            text: `Trying again in ${(delayMs / 1000).toFixed(1)} s: ${why}`,
          }),
      }));
    } catch (error) {
      if (!(error instanceof PackedOtherwise) || isLast) throw error;
      continue;
    }
    // an encrypted one is not what is here, and nobody finds it here
    if (!isKnown && !context.encryption) {
      await db.transaction(() => putRepoDigest(db, `${repositoryName(reference)}@${digest}`, id));
    }
    return digest;
  }
}

export async function signersOf(choice: SigningChoice | undefined): Promise<Signer[]> {
  if (choice === undefined) return [];
  const { openSigners } = await import("../signature/signers.ts");
  return await openSigners({ ...choice, creator: `skiff ${VERSION}` }, configSources());
}

async function pushToFiles(context: Context, row: ImageRow, target: FileDestination) {
  const { writeFiles } = await import("./push_files.ts");
  const { engine, db, options } = context;
  const packed = async () => (await choose(context, row, false)).images[0]!;
  return await writeFiles({ engine, db, row, packed }, target, options);
}

const SHOWN = { uploading: "downloading", exists: "exists", mounted: "exists", done: "done" } as const;

export function shown({ digest, status, current, total }: PushProgress): PullProgress {
  return { kind: "layer", digest, status: SHOWN[status], current, total };
}

/** Repositories of the same registry that an image with that layer has come from or went to. */
function otherRepositories(db: Database, layer: Digest, { domain, path }: Reference): string[] {
  const places = listNamesWithLayer(db, layer).map(parseReference)
    .filter((other) => other.domain === domain && other.path !== path);
  return [...new Set(places.map((other) => other.path))];
}

/** The image, or with `all` those of its index, packed and in the dialect that is wanted. */
async function choose(context: Context, row: ImageRow, isRecalled: boolean): Promise<Pushed> {
  const { engine, db, layers, options } = context;
  const prepare = async (one: ImageRow) => {
    const packed = await layers.pack(await savedImage(engine, db, one, [], false), isRecalled);
    return await context.encryption?.encrypt(packed) ?? convertedImage(packed, options.format);
  };
  if (!options.all || row.indexDigest === null) return { images: [await prepare(row)] };
  const indexBytes = await readBlob(engine.folders, row.indexDigest as Digest);
  const document = parseManifestDocument("index of the image", indexBytes, "");
  if (document.kind !== "index") {
    throw new VerificationError(`push image ${row.id.slice(0, 12)}: its index is a manifest`);
  }
  const images: SavedImage[] = [];
  const manifests = [];
  for (const descriptor of document.index.manifests) {
    const one = findImageByManifest(db, descriptor.digest);
    if (one === undefined) {
      const platform = descriptor.platform === undefined ? "" : ` for ${formatPlatform(descriptor.platform)}`;
      throw new NotFoundError("image", descriptor.digest, {
        message: `push all platforms: ${descriptor.digest}${platform} is not in the store`,
        hint: "pull it with --platform, or leave out --all",
      });
    }
    const image = await prepare(one);
    images.push(image);
    const digest = await digestOf(image.manifestBytes);
    manifests.push({
      ...descriptor,
      mediaType: image.manifestType,
      digest,
      size: image.manifestBytes.length,
    });
  }
  const isSame = manifests.every(({ digest }, at) => digest === document.index.manifests[at]!.digest);
  if (isSame) return { images, index: { bytes: indexBytes, mediaType: document.mediaType } };
  const dialect = manifests.every(({ mediaType }) => dialectOf(mediaType) === "docker") ? "docker" : "oci";
  const mediaType = mediaTypeIn(dialect, MEDIA_TYPE.ociIndex);
  const bytes = new TextEncoder().encode(JSON.stringify({ ...document.index, mediaType, manifests }));
  return { images, index: { bytes, mediaType } };
}

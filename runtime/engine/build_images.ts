/** The images that a build begins with or copies from: found in the store, pulled, or read from a layout. */

import type { ContextSource } from "../build/options.ts";
import type { ResolveImageOptions } from "../build/services.ts";
import type { BaseImage } from "../build/step.ts";
import { InvalidArgumentError, NotFoundError, UnsupportedError } from "../errors.ts";
import { formatPlatform } from "../image/platform.ts";
import { HOST_IMAGE, imagesLockPath } from "../image/store.ts";
import type { Digest } from "../spec/digest.ts";
import type { ImageConfig } from "../spec/image.ts";
import { findImage, listLayers } from "../state/images.ts";
import { takeLock } from "../state/locks.ts";
import { ensureWhole } from "./whole_layers.ts";
import type { Engine } from "./engine.ts";

/** What `images` shows of an id. */
const SHORT_ID_DIGITS = 12;

/** How images come from registries, for all of a build. */
export interface BuildImageOptions {
  tlsVerify?: boolean;
  authFile?: string;
  credentials?: { username: string; password: string };
  certDir?: string;
  decryptionKeys?: string[];
  retries?: number;
  retryDelayMs?: number;
}

/**
 * The image of that name for the platform, pulled where the policy asks for it.
 *
 * @throws {UnsupportedError} for the built-in image, whose files belong to the machine and are in no layer
 */
export async function resolveBuildImage(
  engine: Engine,
  reference: string,
  { platform, policy, signal, progress }: ResolveImageOptions,
  { tlsVerify, authFile, credentials, certDir, decryptionKeys, retries, retryDelayMs }: BuildImageOptions =
    {},
): Promise<BaseImage> {
  if (reference === HOST_IMAGE) {
    throw new UnsupportedError(
      `build on image "${HOST_IMAGE}": it is made of this machine's own folders and has no layers`,
      { hint: "begin with a distribution's image, or with scratch" },
    );
  }
  const { pull } = await import("./pull.ts");
  // a few letters that happen to be hexadecimal are a name, as for BuildKit, and no image whose id begins so
  const name = /^[0-9a-f]+$/.test(reference) && reference.length < SHORT_ID_DIGITS
    ? `${reference}:latest`
    : reference;
  const found = await pull(engine, name, {
    platform: formatPlatform(platform),
    // a Dockerfile has what is in its contexts, and of this machine nothing else
    isName: true,
    policy,
    tlsVerify,
    authFile,
    credentials,
    certDir,
    decryptionKeys,
    retries,
    retryDelayMs,
    signal,
    progress,
  });
  return await readBaseImage(engine, found.id, found.name);
}

/** The image of an `oci-layout://` context: by digest, by tag, or the only one. */
export async function loadBuildLayout(
  engine: Engine,
  { path, reference = "latest" }: ContextSource & { kind: "oci-layout" },
  { platform, signal }: ResolveImageOptions,
): Promise<BaseImage> {
  const { openImageSource } = await import("../image/archive/source.ts");
  const { isOciLayout } = await import("../image/archive/archived_image.ts");
  const { readAdmittedImages } = await import("./archive_policy.ts");
  const { storeArchivedImage } = await import("./load.ts");
  using _lock = (await takeLock(imagesLockPath(engine.folders), { shared: true, signal }))!;
  using source = await openImageSource(engine.folders, path, { signal });
  if (!isOciLayout(source)) {
    throw new InvalidArgumentError(`read build context "${path}": it is no OCI layout`);
  }
  const [chosen] = await readAdmittedImages(source, { wanted: platform, reference, signal });
  if (chosen === undefined) throw new NotFoundError("image", path);
  // its names are the layout's business; the build needs the image alone
  const { id } = await storeArchivedImage(engine, { ...chosen, names: [] }, { signal });
  return await readBaseImage(engine, id, `oci-layout://${path}`);
}

async function readBaseImage(engine: Engine, id: string, name: string): Promise<BaseImage> {
  const db = await engine.database();
  const image = findImage(db, id);
  if (!image) throw new NotFoundError("image", name);
  const config: ImageConfig = JSON.parse(image.config);
  const layers = listLayers(db, id).map(({ digest, diffId, size, mediaType }) => ({
    digest: digest as Digest,
    diffId: diffId as Digest,
    size,
    mediaType,
  }));
  await ensureWhole(engine, layers.map(({ diffId }) => diffId));
  return { name, id, digest: image.digest as Digest, config, snapshot: { layers } };
}

/** The images that a build begins with or copies from: found in the store, pulled, or read from a layout. */

import type { ContextSource } from "../build/options.ts";
import type { ResolveImageOptions } from "../build/services.ts";
import type { BaseImage } from "../build/step.ts";
import { NotFoundError, UnsupportedError } from "../errors.ts";
import { formatPlatform } from "../image/platform.ts";
import { HOST_IMAGE, imagesLockPath } from "../image/store.ts";
import type { Digest } from "../spec/digest.ts";
import type { ImageConfig } from "../spec/image.ts";
import { printable } from "../spec/printable.ts";
import { findImage, listLayers } from "../state/images.ts";
import { takeLock } from "../state/locks.ts";
import { ensureWhole } from "./whole_layers.ts";
import type { Engine } from "./engine.ts";

/** How images come from registries, for all of a build. */
export interface BuildImageOptions {
  tlsVerify?: boolean;
  authFile?: string;
  credentials?: { username: string; password: string };
  certDir?: string;
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
  { tlsVerify, authFile, credentials, certDir }: BuildImageOptions = {},
): Promise<BaseImage> {
  if (reference === HOST_IMAGE) {
    throw new UnsupportedError(
      `build on image "${HOST_IMAGE}": it is made of this machine's own folders and has no layers`,
      { hint: "begin with a distribution's image, or with scratch" },
    );
  }
  const { pull } = await import("./pull.ts");
  const found = await pull(engine, reference, {
    platform: formatPlatform(platform),
    policy,
    tlsVerify,
    authFile,
    credentials,
    certDir,
    signal,
    progress,
  });
  return await readBaseImage(engine, found.id, found.name);
}

/** The image of an `oci-layout://` context: by digest, by tag, or the only one. */
export async function loadBuildLayout(
  engine: Engine,
  { path, reference }: ContextSource & { kind: "oci-layout" },
  { platform, signal }: ResolveImageOptions,
): Promise<BaseImage> {
  const { openImageSource } = await import("../image/archive/source.ts");
  const { readAdmittedImages } = await import("./archive_policy.ts");
  const { storeArchivedImage } = await import("./load.ts");
  using _lock = (await takeLock(imagesLockPath(engine.folders), { shared: true, signal }))!;
  using source = await openImageSource(engine.folders, path, { signal });
  const images = await readAdmittedImages(source, { wanted: platform, signal });
  const wanted = reference ?? "latest";
  const chosen =
    images.find(({ what, manifest, names }) =>
      manifest?.digest === wanted || what === wanted || names.some((name) => name.endsWith(`:${wanted}`))
    ) ?? (reference === undefined && images.length === 1 ? images[0] : undefined);
  if (chosen === undefined) {
    const has = images.map(({ what }) => printable(what, 60)).slice(0, 20).join(", ");
    throw new NotFoundError("image", path, {
      message: `find "${printable(wanted, 100)}" in OCI layout "${path}": no such image`,
      hint: has === "" ? undefined : `it has ${has}`,
    });
  }
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

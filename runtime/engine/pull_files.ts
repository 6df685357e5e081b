/**
 * `pull TRANSPORT:PATH`: an image that is in a file or folder. What is wanted of it may follow: the name of an image
 * (`docker-archive:FILE:web:1`), which one of a docker-archive (`:@0`), or the name in a layout (`oci:FOLDER:tag`).
 *
 * @see podman-pull(1), containers-transports(5)
 */

import { InvalidArgumentError, NotFoundError, VerificationError } from "../errors.ts";
import { type ArchivedImage, isOciLayout } from "../image/archive/archived_image.ts";
import { openImageSource } from "../image/archive/source.ts";
import { isEncrypted } from "../image/manifest.ts";
import { parsePlatform } from "../image/platform.ts";
import { formatReference, parseReference, withDefaultTag } from "../image/reference.ts";
import { imagesLockPath } from "../image/store.ts";
import { printable } from "../spec/printable.ts";
import { recordEvent } from "../state/events.ts";
import { findImage } from "../state/images.ts";
import { takeLock } from "../state/locks.ts";
import { readAdmittedImages } from "./archive_policy.ts";
import type { Engine } from "./engine.ts";
import { type LoadedImage, refuseOther, storeArchivedImage } from "./load.ts";
import type { PullOptions } from "./pull.ts";

/** Gives the images in the order of the archive; `reference` is one that `isFileReference` says yes to. */
export async function pullFiles(
  engine: Engine,
  reference: string,
  options: PullOptions = {},
): Promise<{ id: string; name: string; digest: string }[]> {
  const { transport, path, index, name } = splitReference(reference);
  using _lock = (await takeLock(imagesLockPath(engine.folders), { shared: true, signal: options.signal }))!;
  using source = await openImageSource(engine.folders, path, options);
  const isFolder = source.folder !== undefined;
  const found = isOciLayout(source)
    ? (isFolder ? "oci" : "oci-archive")
    : isFolder
    ? "dir"
    : "docker-archive";
  if (found !== transport) {
    throw new VerificationError(`pull "${printable(reference)}": it is ${found}, not ${transport}`);
  }
  const isLayout = transport === "oci" || transport === "oci-archive";
  const wanted = options.platform === undefined ? undefined : parsePlatform(options.platform);
  const all = await readAdmittedImages(source, {
    wanted,
    reference: isLayout ? name : undefined,
    signal: options.signal,
  });
  const full = isLayout || name === undefined
    ? undefined
    : formatReference(withDefaultTag(parseReference(name)));
  const images = all.filter(({ names }, at) =>
    (index === undefined || at === index) && (full === undefined || names.includes(full))
  );
  if (images.length === 0) {
    throw new NotFoundError("image", reference, {
      message: `pull "${printable(reference)}": no image found in archive for reference "${
        name ?? `@${index}`
      }"`,
    });
  }
  const db = await engine.database();
  const pulled = [];
  for (const image of images) {
    const one = full === undefined ? image : { ...image, names: [full] };
    refuseOther(one, wanted);
    const { id, names } = await storeDecrypted(engine, one, options);
    recordEvent(engine.folders, { type: "image", action: "pull", id, name: reference });
    pulled.push({ id, name: names[0] ?? id, digest: findImage(db, id)!.digest });
  }
  return pulled;
}

async function storeDecrypted(
  engine: Engine,
  image: ArchivedImage,
  options: PullOptions,
): Promise<LoadedImage> {
  const { decryptionKeys: keys = [], signal } = options;
  if (keys.length === 0 || !image.layers.some(isEncrypted)) {
    return await storeArchivedImage(engine, image, options);
  }
  const { decryptArchived } = await import("./decrypted_archive.ts");
  await using decrypted = await decryptArchived(engine.folders, image, keys, signal);
  return await storeArchivedImage(engine, decrypted.image, options);
}

function splitReference(reference: string) {
  const [, transport = "", path = "", wanted] = /^([a-z-]+):([^:]*)(?::(.*))?$/s.exec(reference) ?? [];
  if (path === "" || path.includes("\0")) {
    throw new InvalidArgumentError(`pull "${printable(reference)}": it names no path`);
  }
  const index = /^@(\d+)$/.exec(wanted ?? "")?.[1];
  if (index !== undefined) return { transport, path, index: Number(index), name: undefined };
  return { transport, path, index: undefined, name: wanted || undefined };
}

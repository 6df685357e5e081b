/**
 * `volume create --driver image`: a volume that begins with an image's files. They are a copy, which shares its blocks
 * with the image where the file system can, so that the image may go and the volume stays.
 *
 * @see podman-volume-create(1), --driver
 */

import type { VolumeMount } from "../container/mount_options.ts";
import { Fd, open } from "../../ffi/file.ts";
import { O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../../ffi/constants/fcntl.ts";
import { InvalidArgumentError, NotFoundError, UnsupportedError } from "../errors.ts";
import { placeTree, writeBeside } from "../files/volume_trees.ts";
import { findPlatformImage } from "../image/list.ts";
import { HOST_IMAGE, imagesLockPath } from "../image/store.ts";
import type { Digest } from "../spec/digest.ts";
import type { Database } from "../state/db.ts";
import { recordEvent } from "../state/events.ts";
import { listLayers } from "../state/images.ts";
import { takeLock } from "../state/locks.ts";
import { findVolume, putVolume, type VolumeRow } from "../state/volumes.ts";
import { copyLayer } from "../storage/layer_copy.ts";
import { layerForm, layerPath } from "../storage/layers.ts";
import { OWNER_MARK } from "../storage/volumes.ts";
import { timestamp } from "./clock.ts";
import type { Engine } from "./engine.ts";
import { discard } from "./garbage.ts";
import { withStagedTree } from "./volume_content.ts";
import { ensureWhole } from "./whole_layers.ts";

/**
 * Makes the volume, which is there whole or not at all. Whether there was none of its name.
 *
 * @throws {InvalidArgumentError} where the options do not name an image
 * @throws {NotFoundError} where the image is not here
 */
export async function createImageVolume(
  engine: Engine,
  row: VolumeRow,
  signal?: AbortSignal,
): Promise<boolean> {
  const image = imageOf(row.options);
  const what = `create volume "${row.name}" of image "${image}"`;
  const db = await engine.database();
  if (findVolume(db, row.name)) return false;
  // nobody takes its layers away meanwhile
  using _lock = await takeLock(imagesLockPath(engine.folders), { shared: true });
  const folders = await layersOf(engine, db, image);
  let isNew = false;
  await withStagedTree(engine, what, (tree) => copyLayers(folders, tree), { signal }, async (staged) => {
    // neither a container's image nor its user changes whose it is
    writeBeside(staged, OWNER_MARK, "");
    isNew = await db.transaction(() => {
      if (!putVolume(db, row)) return false;
      const folder = `${engine.folders.volumes}/${row.name}`;
      // of who was killed right here
      discard(engine, folder);
      placeTree(staged, folder);
      return true;
    });
  });
  if (isNew) recordEvent(engine.folders, { type: "volume", action: "create", id: row.name, name: row.name });
  return isNew;
}

/** One that a container's options describe, and that was not there before; it stays where the container is not made. */
export async function makeAskedImageVolume(engine: Engine, mount: VolumeMount): Promise<void> {
  const { name, anonymous, make } = mount;
  const { options = {}, labels = {} } = make ?? {};
  await createImageVolume(engine, {
    name,
    anonymous,
    options,
    labels,
    driver: "image",
    createdAt: timestamp(),
  });
}

/** The image that `--opt image=…` names. */
function imageOf(options: Record<string, string>): string {
  for (const key of Object.keys(options)) {
    if (key === "image") continue;
    throw new InvalidArgumentError(`invalid mount option ${key} for driver 'image': invalid argument`);
  }
  const { image } = options;
  if (image) return image;
  throw new InvalidArgumentError(
    "must provide an image name when creating a volume with the image driver: invalid argument",
    { hint: "-o image=NAME" },
  );
}

/** The folders of its layers, the lowest first. */
async function layersOf(engine: Engine, db: Database, image: string): Promise<string[]> {
  if (image === HOST_IMAGE) {
    throw new UnsupportedError(
      `create volume of image "${HOST_IMAGE}": it has no layers, but this machine's own folders`,
      { hint: `--mount type=image,source=${HOST_IMAGE},target=… shows it` },
    );
  }
  const found = findPlatformImage(db, image);
  if (!found) {
    throw new NotFoundError("image", image, {
      message: `looking up image ${image} to create volume failed: ${image}: image not known`,
      hint: `pull it first: skiff pull ${image}`,
    });
  }
  const layers = listLayers(db, found.image.id).map(({ diffId }) => diffId as Digest);
  await ensureWhole(engine, layers);
  return layers.map((id) => layerPath(engine.folders, id, layerForm(engine.namespaces)));
}

function copyLayers(folders: readonly string[], tree: number): void {
  for (const folder of folders) {
    using from = new Fd(open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    copyLayer(from.number, tree, { marks: "apply" });
  }
}

/**
 * `image mount`, `image unmount`: an image's files as a folder, which cannot be written to.
 *
 * ```
 * mounts/<image id>/   what a storage driver needs for it; its mount lives as long as the mount namespace does: the
 *                      host's for root, else that of a session of `unshare`
 * ```
 */

import { Fd, open } from "../../ffi/file.ts";
import { O_CLOEXEC, O_CREAT, O_RDWR } from "../../ffi/constants/fcntl.ts";
import { SIGTERM } from "../../ffi/constants/signal.ts";
import { kill } from "../../ffi/process.ts";
import { UnsupportedError } from "../errors.ts";
import { getPlatformImage } from "../image/list.ts";
import { HOST_IMAGE, imagesLockPath } from "../image/store.ts";
import type { RootfsPlan } from "../monitor/plan.ts";
import { processStartTime } from "../monitor/records.ts";
import type { Digest } from "../spec/digest.ts";
import { recordEvent } from "../state/events.ts";
import { findImage, listLayers, listNames } from "../state/images.ts";
import { takeLock } from "../state/locks.ts";
import { readMountTable } from "../state/mount_table.ts";
import { chooseDriver } from "../storage/drivers/choose.ts";
import { ensureWhole } from "./whole_layers.ts";
import type { Engine } from "./engine.ts";
import { discard, emptyTrash } from "./garbage.ts";
import { requireSession, startHolder } from "./mount.ts";

export interface MountedImage {
  /** 64 hex digits. */
  id: string;
  /** Of the manifest. */
  digest: string;
  names: string[];
  mountpoint: string;
}

/** Mounts an image, where it is not yet, and gives the folder. */
export async function mountImage(engine: Engine, text: string): Promise<MountedImage> {
  requireSession(engine, "image mount");
  if (text === HOST_IMAGE) {
    throw new UnsupportedError(
      `mount image "${HOST_IMAGE}": it has no layers, but this machine's own folders`,
    );
  }
  const db = await engine.database();
  const { image } = getPlatformImage(db, text);
  const known = (await listMountedImages(engine)).find(({ id }) => id === image.id);
  if (known !== undefined) return known;
  // nobody takes its layers away meanwhile
  using _lock = (await takeLock(imagesLockPath(engine.folders), { shared: true }))!;
  const [driver, { mountReadOnly }, { runFileTask }] = await Promise.all([
    chooseDriver(engine, engine.storageDriver),
    import("../files/read_only_mount.ts"),
    import("../files/task.ts"),
  ]);
  const folder = folderOf(engine, image.id);
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const layers = listLayers(db, image.id).map(({ diffId }) => diffId as Digest).toReversed();
  await ensureWhole(engine, layers);
  const rootfs = await driver.prepare(engine, {
    containerDir: folder,
    layers,
    volatile: true,
  });
  if (rootfs.kind === "fuse-overlayfs") await holdMount(engine, folder, rootfs);
  await runFileTask(engine.namespaces, () => mountReadOnly(rootfs));
  recordEvent(engine.folders, { type: "image", action: "mount", id: image.id, name: text });
  return { id: image.id, digest: image.digest, names: listNames(db, image.id), mountpoint: rootfs.target };
}

/** Gives the id; an image that is not mounted is no error. @throws {HostError} where something works in it still */
export async function unmountImage(engine: Engine, text: string, force = false): Promise<string> {
  requireSession(engine, "image unmount");
  const { image: { id } } = getPlatformImage(await engine.database(), text);
  const found = (await listMountedImages(engine)).find((mounted) => mounted.id === id);
  if (found === undefined) return id;
  const [{ unmount }, { runFileTask }] = await Promise.all([
    import("../files/mount_holder.ts"),
    import("../files/task.ts"),
  ]);
  await runFileTask(engine.namespaces, () => unmount(found.mountpoint, force));
  const holder = readHolder(folderOf(engine, id));
  // what it kept is gone, so nobody waits for it
  if (holder !== undefined && processStartTime(holder.pid) === holder.startTime) kill(holder.pid, SIGTERM);
  discard(engine, folderOf(engine, id));
  await emptyTrash(engine);
  recordEvent(engine.folders, { type: "image", action: "unmount", id, name: text });
  return id;
}

/** Those that are mounted where this process lives. */
export async function listMountedImages(engine: Engine): Promise<MountedImage[]> {
  const db = await engine.database();
  const above = `${mountsFolder(engine)}/`;
  return readMountTable().filter(({ point }) => point.startsWith(above)).flatMap(({ point }) => {
    const id = point.slice(above.length).split("/")[0]!;
    const image = findImage(db, id);
    return image ? [{ id, digest: image.digest, names: listNames(db, id), mountpoint: point }] : [];
  });
}

/** fuse-overlayfs needs a parent for as long as the mount is there. */
async function holdMount(engine: Engine, folder: string, rootfs: RootfsPlan): Promise<void> {
  using lock = new Fd(open(`${folder}/lock`, O_RDWR | O_CREAT | O_CLOEXEC, 0o600));
  const pid = await startHolder(engine, rootfs, lock.number, engine.namespaces.isInside?.sessionPid);
  const holder: Holder = { pid, startTime: processStartTime(pid) };
  Deno.writeTextFileSync(`${folder}/holder`, JSON.stringify(holder), { mode: 0o600 });
}

interface Holder {
  pid: number;
  startTime: string;
}

function readHolder(folder: string): Holder | undefined {
  try {
    return JSON.parse(Deno.readTextFileSync(`${folder}/holder`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function folderOf(engine: Engine, id: string): string {
  return `${mountsFolder(engine)}/${id}`;
}

/** As the kernel names it: without links. */
function mountsFolder(engine: Engine): string {
  return `${Deno.realPathSync(engine.folders.data)}/mounts`;
}

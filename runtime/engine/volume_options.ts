/**
 * What the options of a volume come to: a folder of its own, one of the host's, or a file system that those who use
 * it mount. Loaded where a volume has options.
 *
 * @see podman-volume-create(1), --opt
 */

import { readTmpfsOptions, type VolumeFilesystem, type VolumeMount } from "../container/mount_options.ts";
import { InvalidArgumentError, NotFoundError, UnsupportedError } from "../errors.ts";
import { parseSize } from "../spec/size.ts";
import type { VolumeRow } from "../state/volumes.ts";
import type { VolumeQuota } from "../storage/volume_quota.ts";
import { createVolume, OWNER_MARK, volumePath } from "../storage/volumes.ts";
import type { Engine } from "./engine.ts";
import { isNfs, serverOf } from "./nfs_server.ts";

export interface VolumePlan {
  /** A folder of the host that is the volume's content. */
  device?: string;
  owner?: { uid: number; gid: number };
  /** It begins empty, whatever the image has where it is mounted. */
  isNotFilled?: boolean;
  filesystem?: VolumeFilesystem;
  quota?: VolumeQuota;
}

/** What `--opt` knows; `copy` and `nocopy` have no value. */
const KEYS = ["type", "device", "o", "copy", "nocopy"];

/** What `--opt` comes to. @throws {UnsupportedError} for what nobody could mount without root */
export function planVolumeOptions(options: Record<string, string>, isRootless: boolean): VolumePlan {
  const unknown = Object.keys(options).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`invalid mount option ${unknown} for driver 'local': invalid argument`);
  }
  const isNotFilled = "nocopy" in options;
  if (isNotFilled && "copy" in options) {
    throw new InvalidArgumentError("create volume: copy and nocopy exclude each other");
  }
  return { ...planContent(options, isRootless), ...(isNotFilled && { isNotFilled }) };
}

/** Of a volume that no plugin keeps. */
export function planOf(
  { namespaces }: Engine,
  { driver, options }: Pick<VolumeRow, "driver" | "options">,
): VolumePlan {
  return driver === "image" ? {} : planVolumeOptions(options, namespaces.isRootless);
}

function planContent(options: Record<string, string>, isRootless: boolean): VolumePlan {
  const words = (options.o ?? "").split(",").filter((word) => word !== "");
  const isBind = words.includes("bind") || words.includes("rbind") || options.type === "bind";
  if (!isBind && options.type) return { filesystem: planFilesystem(options, words, isRootless) };
  const quota = isBind ? undefined : readQuota(words, isRootless);
  const rest = words.filter((word) =>
    !/^(bind|rbind|rw|noquota|uid=\d+|gid=\d+)$/.test(word) && !(quota && /^(size|inodes)=/.test(word))
  );
  if (rest.length > 0) {
    throw new UnsupportedError(
      `create volume with o=${rest[0]}: only bind, uid, gid, size, inodes and noquota are available`,
      {
        hint: "give flags of the mount with the container: -v NAME:/path:ro,nodev",
      },
    );
  }
  const ids = new Map(words.map((word) => word.split("=", 2) as [string, string]));
  const owner = ids.has("uid") || ids.has("gid")
    ? { uid: Number(ids.get("uid") ?? 0), gid: Number(ids.get("gid") ?? 0) }
    : undefined;
  if (isBind) return { device: bindSource(options), owner };
  if (options.device === undefined) return { owner, ...(quota && { quota }) };
  throw new InvalidArgumentError(`create volume: device "${options.device}" needs a type, or o=bind`);
}

/** `o=size=10g,inodes=1000`: what the content may take of the file system. */
function readQuota(words: string[], isRootless: boolean): VolumeQuota | undefined {
  const valueOf = (key: string) => words.find((word) => word.startsWith(`${key}=`))?.slice(key.length + 1);
  const [size, inodes] = [valueOf("size"), valueOf("inodes")];
  if (size === undefined && inodes === undefined) return undefined;
  if (words.includes("noquota")) {
    throw new InvalidArgumentError("create volume: noquota does not go with size and inodes");
  }
  const bytes = size === undefined ? 0 : parseSize(size);
  if (bytes === undefined) throw new InvalidArgumentError(`create volume: invalid size "${size}"`);
  if (inodes !== undefined && !/^\d{1,12}$/.test(inodes)) {
    throw new InvalidArgumentError(`create volume: invalid number of inodes "${inodes}"`);
  }
  if (isRootless) {
    throw new UnsupportedError(
      "create volume with o=size: quotas of a file system are for root alone to set",
      {
        hint: "a volume in memory can have a size: -o type=tmpfs -o o=size=64m",
      },
    );
  }
  return { bytes, inodes: Number(inodes ?? 0) };
}

function planFilesystem(
  { type = "", device = type }: Record<string, string>,
  words: string[],
  isRootless: boolean,
): VolumeFilesystem {
  if (type === "tmpfs") {
    const { options, readOnly } = readTmpfsOptions(words, "create volume");
    const kept = options.filter((word) => word !== "tmpcopyup");
    return { type, device, options: readOnly ? [...kept, "ro"] : kept };
  }
  if (type === "none") throw new InvalidArgumentError('create volume: type "none" needs o=bind');
  if (type === "overlay" && isRootless) {
    return { type, device, options: words.includes("userxattr") ? words : [...words, "userxattr"] };
  }
  if (isRootless) {
    throw new UnsupportedError(
      `create volume of type "${type}": without root the kernel mounts nothing for a volume but tmpfs, overlays and folders`,
      { hint: "mount it on the host, and make a volume of that folder: -o o=bind,device=/path" },
    );
  }
  const filesystem = { type, device, options: words };
  if (isNfs(type)) serverOf(filesystem);
  return filesystem;
}

function bindSource({ type, device = "" }: Record<string, string>): string {
  if (!["none", "bind", "", undefined].includes(type)) {
    throw new InvalidArgumentError(`create volume: type "${type}" does not go with o=bind`);
  }
  if (!device.startsWith("/")) {
    throw new InvalidArgumentError(`create volume: device "${device}" must be an absolute path`);
  }
  try {
    if (!Deno.statSync(device).isDirectory) {
      throw new InvalidArgumentError(`create volume: device "${device}" is not a folder`);
    }
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new NotFoundError("file", device, { cause, message: `create volume: no such folder "${device}"` });
  }
  return device;
}

/** Makes the folder of a volume whose row is there; where that fails, neither is left. */
export async function makePlannedVolume(engine: Engine, name: string, plan: VolumePlan): Promise<void> {
  const { device, owner, filesystem, quota } = plan;
  createVolume(engine.folders, name, device);
  try {
    if (quota) {
      (await import("../storage/volume_quota.ts")).limitVolume(volumePath(engine.folders, name), quota);
    }
    if (owner !== undefined) await giveVolume(engine, name, owner);
    const isChosen = owner !== undefined || filesystem?.options.some((word) => /^([ug]id|mode)=/.test(word));
    if (isChosen) {
      Deno.writeTextFileSync(volumePath(engine.folders, name).replace(/_data$/, OWNER_MARK), "");
    }
  } catch (error) {
    const { removeUnusedVolumes } = await import("./system_prune.ts");
    await removeUnusedVolumes(engine, [name]);
    throw error;
  }
}

/** Makes the volume that a `--mount` describes, and that was not there before. */
export async function makeAskedVolume(engine: Engine, { name, make }: VolumeMount): Promise<void> {
  const plan = planVolumeOptions(make?.options ?? {}, engine.namespaces.isRootless);
  await makePlannedVolume(engine, name, plan);
}

async function giveVolume(
  engine: Engine,
  name: string,
  { uid, gid }: { uid: number; gid: number },
): Promise<void> {
  const { runInNamespace } = await import("../storage/namespace_task.ts");
  const path = volumePath(engine.folders, name);
  await runInNamespace(
    engine,
    `give volume "${name}" to ${uid}:${gid}`,
    () => Deno.chownSync(path, uid, gid),
  );
}

/** `volume create|ls|inspect|exists`: named folders that outlive containers. */

import { ConflictError, InvalidArgumentError, NotFoundError, UnsupportedError } from "../errors.ts";
import { listContainers } from "../state/containers.ts";
import type { Database } from "../state/db.ts";
import { recordEvent } from "../state/events.ts";
import { randomId } from "../state/ids.ts";
import { findVolume, listVolumes, listVolumeUses, putVolume, type VolumeRow } from "../state/volumes.ts";
import { checkVolumeName, createVolume, OWNER_MARK, volumePath } from "../storage/volumes.ts";
import { timestamp } from "./clock.ts";
import type { Engine } from "./engine.ts";

/** A volume as podman's `volume inspect` describes it, and who uses it. */
export interface VolumeInfo {
  Name: string;
  Driver: "local";
  Mountpoint: string;
  CreatedAt: string;
  Labels: Record<string, string>;
  Scope: "local";
  Options: Record<string, string>;
  Anonymous: boolean;
  /** Containers that run with it. */
  MountCount: number;
  /** Still without the image's content. */
  NeedsCopyUp: boolean;
  NeedsChown: boolean;
  /** Names of the containers that use it, running or not. */
  Containers: string[];
}

export interface VolumeCreateOptions {
  driver?: string;
  labels?: Record<string, string>;
  /** `type`, `device`, `o`: @see podman-volume-create(1), --opt */
  options?: Record<string, string>;
  /** A volume of that name is no error. */
  ignore?: boolean;
}

/** Makes a volume; without a name one of 64 hex digits. Gives the name. */
export async function volumeCreate(
  engine: Engine,
  name: string | undefined,
  options: VolumeCreateOptions = {},
): Promise<string> {
  const chosen = name === undefined ? randomId() : checkVolumeName(name);
  if (options.driver !== undefined && !["", "local"].includes(options.driver)) {
    throw new UnsupportedError(
      `create volume "${chosen}" with driver "${options.driver}": only local is available`,
    );
  }
  const plan = planVolumeOptions(options.options ?? {});
  const db = await engine.database();
  const row = {
    name: chosen,
    createdAt: timestamp(),
    labels: options.labels ?? {},
    anonymous: false,
    options: options.options ?? {},
  };
  const isNew = await db.transaction(() => putVolume(db, row));
  if (!isNew) {
    if (options.ignore) return chosen;
    throw new ConflictError(`volume with name ${chosen} already exists: volume already exists`);
  }
  // the row first: a folder without one is garbage
  createVolume(engine.folders, chosen, plan.device);
  if (plan.owner !== undefined) {
    try {
      await giveVolume(engine, chosen, plan.owner);
    } catch (error) {
      const { removeUnusedVolumes } = await import("./system_prune.ts");
      await removeUnusedVolumes(engine, [chosen]);
      throw error;
    }
  }
  recordEvent(engine.folders, { type: "volume", action: "create", id: chosen, name: chosen });
  return chosen;
}

interface VolumePlan {
  /** A folder of the host that is the volume's content. */
  device?: string;
  owner?: { uid: number; gid: number };
}

/** What `--opt` comes to. @throws {UnsupportedError} for what nobody could mount without root */
export function planVolumeOptions(options: Record<string, string>): VolumePlan {
  const known = ["type", "device", "o"];
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`invalid mount option ${unknown} for driver 'local': invalid argument`);
  }
  const words = (options.o ?? "").split(",").filter((word) => word !== "");
  const ids = new Map(words.map((word) => word.split("=", 2) as [string, string]));
  const rest = words.filter((word) => !/^(bind|rbind|rw|uid=\d+|gid=\d+)$/.test(word));
  if (rest.length > 0) {
    throw new UnsupportedError(`create volume with o=${rest[0]}: only bind, uid and gid are available`, {
      hint: "give flags of the mount with the container: -v NAME:/path:ro,nodev",
    });
  }
  const owner = ids.has("uid") || ids.has("gid")
    ? { uid: Number(ids.get("uid") ?? 0), gid: Number(ids.get("gid") ?? 0) }
    : undefined;
  const isBind = words.includes("bind") || words.includes("rbind") || options.type === "bind";
  if (!isBind) {
    if (options.type === undefined && options.device === undefined) return { owner };
    throw new UnsupportedError(
      `create volume of type "${
        options.type ?? ""
      }": without a daemon nobody keeps such a file system mounted ` +
        `for all containers; only a folder can be the content (o=bind,device=/path)`,
      { hint: options.type === "tmpfs" ? "give each container its own: --tmpfs /path" : undefined },
    );
  }
  if (!["none", "bind", "", undefined].includes(options.type)) {
    throw new InvalidArgumentError(`create volume: type "${options.type}" does not go with o=bind`);
  }
  const device = options.device ?? "";
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
  return { device, owner };
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
  Deno.writeTextFileSync(path.replace(/_data$/, OWNER_MARK), "");
}

/** All volumes, by name. */
export async function volumes(engine: Engine): Promise<VolumeInfo[]> {
  const db = await engine.database();
  return await describe(engine, db, listVolumes(db));
}

/** @throws {NotFoundError} */
export async function volumeInspect(engine: Engine, text: string): Promise<VolumeInfo> {
  const db = await engine.database();
  const [info] = await describe(engine, db, [findVolumeRow(db, text)]);
  return info!;
}

/** Whether there is a volume of that name, or one only whose name begins so. */
export async function volumeExists(engine: Engine, text: string): Promise<boolean> {
  try {
    findVolumeRow(await engine.database(), text);
    return true;
  } catch (error) {
    if (error instanceof NotFoundError) return false;
    throw error;
  }
}

/** By name, or by the beginning of one, as podman takes it. @throws {NotFoundError} */
export function findVolumeRow(db: Database, text: string): VolumeRow {
  const row = findVolume(db, text);
  if (row !== undefined) return row;
  const found = text === "" ? [] : listVolumes(db).filter(({ name }) => name.startsWith(text));
  if (found.length > 1) throw new ConflictError(`find volume "${text}": more than one name begins with it`);
  if (found[0] !== undefined) return found[0];
  throw new NotFoundError("volume", text, { message: `no volume with name "${text}" found: no such volume` });
}

async function describe(engine: Engine, db: Database, rows: VolumeRow[]): Promise<VolumeInfo[]> {
  const users = new Map<string, string[]>();
  for (const { containerId, volume } of listVolumeUses(db)) {
    users.set(volume, [...users.get(volume) ?? [], containerId]);
  }
  const containers = new Map(listContainers(db).map((row) => [row.id, row]));
  const { observeContainers } = await import("../container/state.ts");
  const used = [...containers.values()].filter(({ id }) =>
    [...users.values()].some((ids) => ids.includes(id))
  );
  const observed = await observeContainers(db, engine.folders.containers, used);
  const running = new Set(observed.filter(({ status }) => status.pid > 0).map(({ row }) => row.id));
  return rows.map(({ name, createdAt, labels, options, anonymous }) => {
    const ids = users.get(name) ?? [];
    const mountpoint = volumePath(engine.folders, name);
    const isFresh = isEmpty(mountpoint);
    return {
      Name: name,
      Driver: "local",
      Mountpoint: mountpoint,
      CreatedAt: createdAt,
      Labels: labels,
      Scope: "local",
      Options: options,
      Anonymous: anonymous,
      MountCount: ids.filter((id) => running.has(id)).length,
      NeedsCopyUp: isFresh,
      NeedsChown: isFresh,
      Containers: ids.map((id) => containers.get(id)?.name ?? id).sort(),
    };
  });
}

function isEmpty(folder: string): boolean {
  try {
    for (const _entry of Deno.readDirSync(folder)) return false;
    return true;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}

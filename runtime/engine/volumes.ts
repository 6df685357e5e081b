/** `volume create|ls|inspect|exists`: named folders that outlive containers. */

import { ConflictError, NotFoundError } from "../errors.ts";
import { listContainers } from "../state/containers.ts";
import type { Database } from "../state/db.ts";
import { recordEvent } from "../state/events.ts";
import { randomId } from "../state/ids.ts";
import { isPlugin, listVolumes, listVolumeUses, putVolume, type VolumeRow } from "../state/volumes.ts";
import { checkVolumeName, volumePath } from "../storage/volumes.ts";
import { timestamp } from "./clock.ts";
import type { Engine } from "./engine.ts";
import { discard } from "./garbage.ts";
import { makePlannedVolume, planVolumeOptions } from "./volume_options.ts";
import { findVolumeRow } from "./volume_row.ts";
import { snapshotsIn } from "./volume_snapshots.ts";

/** A volume as podman's `volume inspect` describes it, and who uses it. */
export interface VolumeInfo {
  Name: string;
  /** `local`, or a plugin's name. */
  Driver: string;
  Mountpoint: string;
  CreatedAt: string;
  Labels: Record<string, string>;
  Scope: string;
  Options: Record<string, string>;
  /** Of a plugin's volume, what the plugin tells. */
  Status?: Record<string, unknown>;
  Anonymous: boolean;
  /** Containers that run with it. */
  MountCount: number;
  /** Still without the image's content. */
  NeedsCopyUp: boolean;
  NeedsChown: boolean;
  /** Names of the containers that use it, running or not. */
  Containers: string[];
  /** Its snapshots, the oldest first. */
  Snapshots: string[];
}

export interface VolumeCreateOptions {
  driver?: string;
  labels?: Record<string, string>;
  /** `type`, `device`, `o`: @see podman-volume-create(1), --opt */
  options?: Record<string, string>;
  /** A volume of that name is no error. */
  ignore?: boolean;
  signal?: AbortSignal;
}

/** Makes a volume; without a name one of 64 hex digits. Gives the name. */
export async function volumeCreate(
  engine: Engine,
  name: string | undefined,
  options: VolumeCreateOptions = {},
): Promise<string> {
  const chosen = name === undefined ? randomId() : checkVolumeName(name);
  const { driver = "local" } = options;
  const db = await engine.database();
  const row = {
    name: chosen,
    createdAt: timestamp(),
    labels: options.labels ?? {},
    anonymous: false,
    options: options.options ?? {},
    driver: driver === "" ? "local" : driver,
  };
  if (row.driver !== "local") {
    if (!await createElsewhere(engine, row, options.signal) && !options.ignore) throw taken(chosen);
    return chosen;
  }
  const plan = planVolumeOptions(row.options, engine.namespaces.isRootless);
  const isNew = await db.transaction(() => {
    if (!putVolume(db, row)) return false;
    // what a removal or clone that was killed has left under the name is not this volume's
    discard(engine, `${engine.folders.volumes}/${chosen}`);
    return true;
  });
  if (!isNew) {
    if (options.ignore) return chosen;
    throw taken(chosen);
  }
  // the row first: a folder without one is garbage
  await makePlannedVolume(engine, chosen, plan);
  recordEvent(engine.folders, { type: "volume", action: "create", id: chosen, name: chosen });
  return chosen;
}

/** As another driver has it. Whether there was none of its name. */
async function createElsewhere(engine: Engine, row: VolumeRow, signal?: AbortSignal): Promise<boolean> {
  if (isPlugin(row.driver)) {
    return await (await import("./volume_plugins/volumes.ts")).createPluginVolume(engine, row);
  }
  return await (await import("./volume_image.ts")).createImageVolume(engine, row, signal);
}

function taken(name: string): ConflictError {
  return new ConflictError(`volume with name ${name} already exists: volume already exists`);
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
  const plugins = rows.some(({ driver }) => isPlugin(driver))
    ? (await import("./volume_plugins/volumes.ts")).describePluginVolume
    : undefined;
  return await Promise.all(rows.map(async (row) => {
    const { name, createdAt, labels, options, anonymous, driver } = row;
    const ids = users.get(name) ?? [];
    const told = isPlugin(driver) ? await plugins!(row) : undefined;
    const mountpoint = told?.Mountpoint ?? volumePath(engine.folders, name);
    const isFresh = isEmpty(mountpoint);
    return {
      Name: name,
      Driver: driver,
      Mountpoint: mountpoint,
      CreatedAt: createdAt,
      Labels: inOrder(labels),
      Scope: told?.Scope ?? "local",
      ...(told?.Status && { Status: told.Status }),
      Options: inOrder(options),
      Anonymous: anonymous,
      MountCount: ids.filter((id) => running.has(id)).length,
      NeedsCopyUp: isFresh && !("nocopy" in options),
      NeedsChown: isFresh,
      Containers: ids.map((id) => containers.get(id)?.name ?? id).sort(),
      Snapshots: snapshotsIn(engine, name).map(({ Snapshot }) => Snapshot),
    };
  }));
}

/** By their keys, as podman shows them. */
function inOrder(pairs: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(pairs).sort(([one], [other]) => one < other ? -1 : 1));
}

function isEmpty(folder: string): boolean {
  try {
    for (const _entry of Deno.readDirSync(folder)) return false;
    return true;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}

/**
 * `system df`: what images, containers, volumes and builds take, and what of it could be had back.
 *
 * A layer that several images share counts once; of the images that no container uses, only the layers that no
 * other image has can be had back.
 */

import { listCached } from "../state/build_cache.ts";
import { listContainers } from "../state/containers.ts";
import { listAllLayers, listImages, listNames } from "../state/images.ts";
import { listVolumes, listVolumeUses } from "../state/volumes.ts";
import type { Digest } from "../spec/digest.ts";
import { layerBytes, layerForm } from "../storage/layers.ts";
import { treeSizes } from "../storage/tree_sizes.ts";
import { volumePath } from "../storage/volumes.ts";
import { buildCache, type BuildCacheEntry } from "./build_prune.ts";
import type { Engine } from "./engine.ts";
import { type ContainerListEntry, ps } from "./ps.ts";

export type { BuildCacheEntry } from "./build_prune.ts";

export interface UsageSummary {
  /** The last only where builds have left something. */
  Type: "Images" | "Containers" | "Local Volumes" | "Build Cache";
  Total: number;
  Active: number;
  /** Bytes. */
  RawSize: number;
  RawReclaimable: number;
}

export interface ImageUsage {
  /** 64 hex digits. */
  ImageID: string;
  /** `<none>` where it has no name. */
  Repository: string;
  Tag: string;
  /** ISO 8601. */
  Created: string;
  Size: number;
  SharedSize: number;
  UniqueSize: number;
  Containers: number;
}

export interface ContainerUsage {
  ContainerID: string;
  /** The image's id, or the name of what has none. */
  Image: string;
  Command: string[];
  LocalVolumes: number;
  /** What it has written, in bytes. */
  Size: number;
  RWSize: number;
  Created: string;
  /** created, running, exited … */
  Status: string;
  Names: string;
}

export interface VolumeUsage {
  VolumeName: string;
  /** Containers that use it. */
  Links: number;
  Size: number;
  ReclaimableSize: number;
}

export interface DiskUsage {
  summaries: UsageSummary[];
  /** A line each name. */
  images: ImageUsage[];
  containers: ContainerUsage[];
  volumes: VolumeUsage[];
  buildCache: BuildCacheEntry[];
}

export async function systemDf(engine: Engine): Promise<DiskUsage> {
  const db = await engine.database();
  const containers = await ps(engine, { all: true });
  const images = measureImages(engine, await engine.database(), containers);
  const volumes = listVolumes(db);
  const uses = listVolumeUses(db);
  const cache = await buildCache(engine);
  const [written, held] = await measureTrees(engine, containers, volumes.map(({ name }) => name));

  const containerUsages = containers.map((one, index): ContainerUsage => ({
    ContainerID: one.Id,
    Image: one.ImageID || one.Image,
    Command: one.Command,
    LocalVolumes: uses.filter(({ containerId }) => containerId === one.Id).length,
    Size: written[index]!,
    RWSize: written[index]!,
    Created: one.CreatedAt,
    Status: one.State,
    Names: one.Names.join(","),
  }));
  const volumeUsages = volumes.map(({ name }, index): VolumeUsage => {
    const links = uses.filter((use) => use.volume === name).length;
    return {
      VolumeName: name,
      Links: links,
      Size: held[index]!,
      ReclaimableSize: links > 0 ? 0 : held[index]!,
    };
  });
  const isRunning = ({ Status }: ContainerUsage) => ["running", "paused", "stopping"].includes(Status);
  return {
    summaries: [
      images.summary,
      {
        Type: "Containers",
        Total: containerUsages.length,
        Active: containerUsages.filter(isRunning).length,
        RawSize: sum(containerUsages, ({ Size }) => Size),
        RawReclaimable: sum(containerUsages, (one) => isRunning(one) ? 0 : one.Size),
      },
      {
        Type: "Local Volumes",
        Total: volumeUsages.length,
        Active: volumeUsages.filter(({ Links }) => Links > 0).length,
        RawSize: sum(volumeUsages, ({ Size }) => Size),
        RawReclaimable: sum(volumeUsages, ({ ReclaimableSize }) => ReclaimableSize),
      },
      ...cache.length > 0 ? [summarizeCache(cache)] : [],
    ],
    images: images.usages,
    containers: containerUsages,
    volumes: volumeUsages,
    buildCache: cache,
  };
}

/** What images have as well is counted there. */
function summarizeCache(cache: readonly BuildCacheEntry[]): UsageSummary {
  const own = sum(cache, ({ Shared, Size }) => Shared ? 0 : Size);
  return {
    Type: "Build Cache",
    Total: cache.length,
    Active: cache.filter(({ InUse }) => InUse).length,
    RawSize: own,
    RawReclaimable: own - sum(cache, ({ InUse, Size }) => InUse ? Size : 0),
  };
}

/** Bytes that each of these containers has written, and that each volume holds. */
async function measureTrees(
  engine: Engine,
  containers: readonly ContainerListEntry[],
  volumes: readonly string[],
): Promise<[number[], number[]]> {
  // the upper folder of an overlay, or the copy that vfs makes
  const parts = ["upper", "rootfs"];
  const sizes = await treeSizes(engine, [
    ...containers.flatMap(({ Id }) => parts.map((part) => `${engine.containerDir(Id)}/${part}`)),
    ...volumes.map((name) => volumePath(engine.folders, name)),
  ]);
  const ofContainers = containers.map((_, index) => sizes[index * 2]! + sizes[index * 2 + 1]!);
  return [ofContainers, sizes.slice(containers.length * 2)];
}

function measureImages(
  engine: Engine,
  db: Parameters<typeof listImages>[0],
  containers: readonly ContainerListEntry[],
): { summary: UsageSummary; usages: ImageUsage[] } {
  const images = listImages(db);
  const layers = Map.groupBy(listAllLayers(db), ({ imageId }) => imageId);
  const form = layerForm(engine.namespaces);
  const sizes = new Map<string, number>();
  const users = new Map<string, number>();
  for (const { diffId, size } of [...layers.values()].flat()) {
    if (!sizes.has(diffId)) sizes.set(diffId, layerBytes(engine.folders, diffId as Digest, form) ?? size);
  }
  const diffIdsOf = (imageId: string) => new Set((layers.get(imageId) ?? []).map(({ diffId }) => diffId));
  for (const { id } of images) for (const one of diffIdsOf(id)) users.set(one, (users.get(one) ?? 0) + 1);
  const counts = new Map<string, number>();
  for (const { ImageID } of containers) counts.set(ImageID, (counts.get(ImageID) ?? 0) + 1);

  const used = new Set(images.filter(({ id }) => counts.has(id)).flatMap(({ id }) => [...diffIdsOf(id)]));
  const bytes = (diffIds: Iterable<string>) => sum([...diffIds], (one) => sizes.get(one)!);
  const usages = images.flatMap((image): ImageUsage[] => {
    const diffIds = [...diffIdsOf(image.id)];
    const [shared, unique] = [(n: number) => n > 1, (n: number) => n === 1].map((wanted) =>
      bytes(diffIds.filter((one) => wanted(users.get(one)!)))
    ) as [number, number];
    const names = listNames(db, image.id);
    return (names.length > 0 ? names : ["<none>:<none>"]).map((name) => ({
      ImageID: image.id,
      Repository: name.slice(0, name.lastIndexOf(":")),
      Tag: name.slice(name.lastIndexOf(":") + 1),
      Created: image.created,
      Size: shared + unique,
      SharedSize: shared,
      UniqueSize: unique,
      Containers: counts.get(image.id) ?? 0,
    }));
  });
  const summary: UsageSummary = {
    Type: "Images",
    Total: images.length,
    Active: images.filter(({ id }) => counts.has(id)).length,
    RawSize: bytes(sizes.keys()),
    RawReclaimable: bytes([...sizes.keys()].filter((one) => !used.has(one))),
  };
  return { summary, usages };
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}

/** How much the containers, images, volumes and builds take together, for what a removal has freed. */
export async function totalUsage(engine: Engine): Promise<number> {
  const db = await engine.database();
  const kinds = [listContainers, listImages, listVolumes, listCached];
  if (kinds.every((list) => list(db).length === 0)) return 0;
  return sum((await systemDf(engine)).summaries, ({ RawSize }) => RawSize);
}

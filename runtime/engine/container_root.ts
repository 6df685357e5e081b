/** The root filesystem of a container as plan data, from whatever its image is. */

import type { ContainerConfig } from "../container/config.ts";
import type { RootfsPlan } from "../monitor/plan.ts";
import type { Digest } from "../spec/digest.ts";
import type { IdMapping } from "../spec/runtime.ts";
import { homeFromPasswd } from "../state/data_folder.ts";
import type { NestedMaps } from "../storage/layer_copy.ts";
import { hasLayer, layerForm } from "../storage/layers.ts";
import { driverNamed } from "../storage/drivers/choose.ts";
import type { Engine } from "./engine.ts";

/**
 * Makes what is missing of the container's folders and layers. May be called again before each start.
 *
 * @param isStart layers that were pulled lazily may be served while they are fetched; else they are pulled whole first
 */
export async function prepareRoot(
  engine: Engine,
  config: ContainerConfig,
  containerDir: string,
  nested: NestedMaps | undefined,
  isStart = false,
): Promise<RootfsPlan> {
  const { root } = config;
  switch (root.kind) {
    case "image":
    case "layers":
      return await driverNamed(config.storageDriver).prepare(engine, {
        containerDir,
        layers: root.diffIds.toReversed() as Digest[],
        nested: isIdentity(nested) ? undefined : nested,
        lazy: await lazyLayersOf(engine, config, containerDir, isStart && nested === undefined),
        volatile: config.autoRemove || root.kind === "layers",
      });
    case "rootfs": {
      if (root.overlay) {
        const { planFolderOverlay } = await import("./mount_roots.ts");
        const overlay = { source: root.path, folder: containerDir, overlay: {} };
        return await planFolderOverlay(engine, config, overlay);
      }
      const target = `${containerDir}/merged`;
      Deno.mkdirSync(target, { recursive: true, mode: 0o755 });
      return { kind: "directory", source: root.path, target };
    }
    case "infra":
      return (await import("./pods/infra.ts")).prepareInfraRoot(containerDir);
    case "host":
      return await prepareHostRoot(engine, containerDir, nested);
  }
}

/** The built-in image: this machine's own folders. */
export async function prepareHostRoot(
  engine: Engine,
  containerDir: string,
  nested: NestedMaps | undefined,
): Promise<RootfsPlan> {
  const { planHostRoot } = await import("../storage/host_image.ts");
  const homes = [Deno.env.get("HOME"), homeFromPasswd(Deno.uid() ?? -1)];
  const plan = planHostRoot(engine, containerDir, homes.filter((home) => home !== undefined));
  return { ...plan, owner: foreignRoot(nested) };
}

/** What of an image's layers is served as it is read; what cannot be is pulled whole first. */
async function lazyLayersOf(
  engine: Engine,
  config: ContainerConfig,
  containerDir: string,
  mayServe: boolean,
) {
  const { root, storageDriver } = config;
  if (root.kind !== "image" && root.kind !== "layers") return undefined;
  const form = layerForm(engine.namespaces);
  if (root.diffIds.every((id) => hasLayer(engine.folders, id as Digest, form))) return undefined;
  const { completeMissing, serveMissing } = await import("./lazy_root.ts");
  const canServe = mayServe && root.kind === "image" && storageDriver === "overlay";
  const lazy = canServe
    ? await serveMissing(engine, root.digest as Digest, root.diffIds, containerDir)
    : undefined;
  if (lazy === undefined) await completeMissing(engine, root.diffIds);
  return lazy;
}

/** As root `--userns keep-id`, and other maps that change no id: the layers fit as they are. */
function isIdentity(nested: { uid: IdMapping[]; gid: IdMapping[] } | undefined): boolean {
  return nested !== undefined &&
    [...nested.uid, ...nested.gid].every(({ containerID, hostID }) => containerID === hostID);
}

/** Who is root in a nested user namespace, where that is not the user. */
function foreignRoot(nested: { uid: IdMapping[]; gid: IdMapping[] } | undefined) {
  if (!nested || nested.uid.some(({ hostID }) => hostID === 0)) return undefined;
  const rootOf = (map: IdMapping[]) => map.find(({ containerID }) => containerID === 0)?.hostID;
  const [uid, gid] = [rootOf(nested.uid), rootOf(nested.gid)];
  return uid === undefined || gid === undefined ? undefined : { uid, gid };
}

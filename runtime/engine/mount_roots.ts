/**
 * Mounts that are file systems of their own: another image's content, volumes with a type, and folders that the
 * container writes over without changing them (`-v …:O`). Loaded where a container has one.
 *
 * ```
 *  containers/<id>/mounts/<n>/   upper work merged    n is the mount's place in the config
 * ```
 */

import { close } from "../../ffi/file.ts";
import type { ContainerConfig } from "../container/config.ts";
import type { OverlayFolders, VolumeFilesystem } from "../container/mount_options.ts";
import { InvalidArgumentError } from "../errors.ts";
import { HOST_IMAGE } from "../image/store.ts";
import type { IdMappedMount, OwnerRange, RootfsPlan } from "../monitor/plan.ts";
import type { Digest } from "../spec/digest.ts";
import type { IdMapping } from "../spec/runtime.ts";
import type { NestedMaps } from "../storage/layer_copy.ts";
import { chooseDriver, driverNamed } from "../storage/drivers/choose.ts";
import { findFuseOverlayfs } from "../storage/drivers/fuse_overlayfs.ts";
import { volumePath } from "../storage/volumes.ts";
import { prepareHostRoot } from "./container_root.ts";
import { ensureWhole } from "./whole_layers.ts";
import type { Engine } from "./engine.ts";

export interface MountRoots {
  plans: RootfsPlan[];
  /** By the destination of the mount. */
  targets: Map<string, string>;
  idMapped: IdMappedMount[];
}

export async function planMountRoots(
  engine: Engine,
  config: ContainerConfig,
  nested: NestedMaps | undefined,
): Promise<MountRoots> {
  const roots: MountRoots = { plans: [], targets: new Map(), idMapped: [] };
  for (const [index, mount] of config.mounts.entries()) {
    const folder = `${engine.containerDir(config.id)}/mounts/${index}`;
    let plan: RootfsPlan | undefined;
    if (mount.kind === "volume" && mount.filesystem) {
      const target = volumePath(engine.folders, mount.name);
      const { withServerAddress } = await import("./nfs_server.ts");
      const filesystem = await withServerAddress(mount.filesystem);
      const options = [...rootOwner(nested, filesystem), ...filesystem.options];
      if (!roots.plans.some((plan) => plan.target === target)) {
        roots.plans.push({
          kind: "volume",
          ...filesystem,
          options,
          folder: target.replace(/\/_data$/, ""),
          target,
        });
      }
    }
    if (mount.kind === "image") {
      Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
      plan = mount.image === HOST_IMAGE
        ? await prepareHostRoot(engine, folder, nested)
        : await planImage(engine, config, { folder, diffIds: mount.diffIds, nested });
    } else if ((mount.kind === "bind" || mount.kind === "volume") && mount.overlay) {
      const source = mount.kind === "bind" ? mount.source : volumePath(engine.folders, mount.name);
      plan = await planFolderOverlay(engine, config, { source, folder, overlay: mount.overlay });
    }
    if (plan) {
      roots.plans.push(plan);
      roots.targets.set(mount.destination, plan.target);
    }
    if (mount.kind === "tmpfs" || mount.kind === "devpts" || mount.idmap === undefined) continue;
    const source = mount.kind === "bind"
      ? mount.source
      : mount.kind === "image"
      ? plan!.target
      : volumePath(engine.folders, mount.name);
    // the built-in image is made of several mounts
    const isRecursive = mount.kind === "image" ? mount.image === HOST_IMAGE : !mount.options.includes("bind");
    const shown = await planIdMapped(engine, { source, isRecursive, folder, idmap: mount.idmap, nested });
    roots.idMapped.push(shown);
    if (mount.kind === "image" || !plan) roots.targets.set(mount.destination, shown.target);
  }
  return roots;
}

/** An image of the store. */
async function planImage(
  engine: Engine,
  config: ContainerConfig,
  { folder, diffIds, nested }: {
    /** Of the container, for what the driver needs. */
    folder: string;
    diffIds: readonly string[];
    nested: NestedMaps | undefined;
  },
): Promise<RootfsPlan> {
  const driver = config.root.kind === "image" || config.root.kind === "layers"
    ? driverNamed(config.storageDriver)
    : await chooseDriver(engine, engine.storageDriver);
  await ensureWhole(engine, diffIds);
  return await driver.prepare(engine, {
    containerDir: folder,
    layers: diffIds.toReversed() as Digest[],
    nested,
    volatile: config.autoRemove,
  });
}

/** With a single id everybody is the one user, whatever he is told. */
const ONE_USER: OwnerRange[] = [{ disk: 0, shown: 0, size: 1 }];

/** What `idmap` comes to. Throws where the mount cannot be had here. */
async function planIdMapped(
  { namespaces }: Engine,
  { source, isRecursive, folder, idmap, nested }: {
    source: string;
    isRecursive: boolean;
    folder: string;
    idmap: string;
    nested: NestedMaps | undefined;
  },
): Promise<IdMappedMount> {
  const { parseIdmap, rangesInNamespace } = await import("../container/idmap_option.ts");
  const { uids, gids } = parseIdmap(idmap);
  const { isRootless, maps } = namespaces;
  if (isRootless) {
    const { openFuse } = await import("../fuse/mount.ts");
    close(openFuse());
  }
  const isOne = isRootless && maps.isSingle;
  const shared = isRootless ? maps : undefined;
  const target = `${folder}/shown`;
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (Deno.statSync(source).isDirectory) Deno.mkdirSync(target, { recursive: true });
  else Deno.writeTextFileSync(target, "");
  return {
    source,
    target,
    isRecursive,
    uids: isOne ? ONE_USER : uids && rangesInNamespace(uids, shared?.uid, nested?.uid),
    gids: isOne ? ONE_USER : gids && rangesInNamespace(gids, shared?.gid, nested?.gid),
    nested,
  };
}

/** A tmpfs belongs to the container's root, unless its options say to whom. */
function rootOwner(nested: NestedMaps | undefined, { type, options }: VolumeFilesystem): string[] {
  if (type !== "tmpfs" || nested === undefined) return [];
  const isChosen = (key: string) => options.some((word) => word.startsWith(`${key}=`));
  const rootOf = (map: IdMapping[]) => map.find(({ containerID }) => containerID === 0)?.hostID ?? 0;
  return (["uid", "gid"] as const).filter((key) => !isChosen(key)).map((key) =>
    `${key}=${rootOf(nested[key])}`
  );
}

/** An overlay over one folder of the host's. */
export async function planFolderOverlay(
  engine: Engine,
  config: Pick<ContainerConfig, "storageDriver" | "autoRemove">,
  { source, folder, overlay }: {
    source: string;
    /** Of the container, for upper, work and the mount point. */
    folder: string;
    overlay: OverlayFolders;
  },
): Promise<RootfsPlan> {
  const info = Deno.statSync(source);
  if (!info.isDirectory) throw new InvalidArgumentError(`mount overlay over "${source}": it is not a folder`);
  const target = `${folder}/merged`;
  const upper = overlay.upper ?? `${folder}/upper`;
  const work = overlay.work ?? `${folder}/work`;
  if (!overlay.upper) await removeFormer(engine, [upper, work]);
  Deno.mkdirSync(target, { recursive: true, mode: 0o755 });
  if (!overlay.upper) {
    for (const path of [upper, work]) Deno.mkdirSync(path, { recursive: true, mode: 0o755 });
    // the root of the overlay shows the mode of the upper folder
    Deno.chmodSync(upper, (info.mode ?? 0o755) & 0o7777);
  }
  const folders = { lower: [source], upper, work, target };
  const program = config.storageDriver === "fuse-overlayfs" ? findFuseOverlayfs() : undefined;
  if (program) return { kind: "fuse-overlayfs", program, ...folders };
  // folders that stay are mounted again, which the kernel refuses after a volatile mount
  const volatile = config.autoRemove && !overlay.upper;
  return { kind: "overlay", ...folders, userxattr: engine.namespaces.isRootless, volatile };
}

/** What a former run wrote is not kept. */
async function removeFormer(engine: Engine, paths: string[]): Promise<void> {
  const present = paths.filter((path) => {
    try {
      return Deno.lstatSync(path).isDirectory;
    } catch {
      return false;
    }
  });
  if (present.length === 0) return;
  const { removeInNamespace } = await import("../storage/removal.ts");
  await removeInNamespace(engine, present);
}

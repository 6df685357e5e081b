/** `diff A B`: what one container or image differs in from another. */

import type { ContainerConfig } from "../container/config.ts";
import { NotFoundError, UnsupportedError } from "../errors.ts";
import type { Change } from "../files/changes.ts";
import { getPlatformImage } from "../image/list.ts";
import { HOST_IMAGE } from "../image/store.ts";
import type { RootfsPlan } from "../monitor/plan.ts";
import type { Digest } from "../spec/digest.ts";
import { listLayers } from "../state/images.ts";
import { chooseDriver } from "../storage/drivers/choose.ts";
import type { NestedMaps } from "../storage/layer_copy.ts";
import { layerForm, layerPath } from "../storage/layers.ts";
import { prepareRoot } from "./container_root.ts";
import { loadConfig, observe } from "./containers.ts";
import { ensureWhole } from "./whole_layers.ts";
import type { Engine } from "./engine.ts";
import { discard, emptyTrash } from "./garbage.ts";
import { imageExists } from "./image_exists.ts";
import { nestedMaps } from "./nested_maps.ts";

/** What names are looked for among; undefined: containers first, then images. */
export type ComparedKind = "container" | "image" | undefined;

/** One side of a comparison. */
interface Tree {
  nested?: NestedMaps;
  /** The kernel shows what is in its layers with other owners. */
  isMapped?: boolean;
  /** What it consists of, the topmost first. */
  layers: string[];
  /** A plan that shows it as one; `scratch` is a folder for what it needs. */
  plan(scratch: string): Promise<RootfsPlan>;
}

/**
 * Changes that make `other` into `subject`, in the order of paths, as podman reads its second name.
 *
 * @throws {NotFoundError} where there is no such container or image
 */
export async function diffBetween(
  engine: Engine,
  subject: string,
  other: string,
  kind?: ComparedKind,
  signal?: AbortSignal,
): Promise<Change[]> {
  const [of, from] = [await treeOf(engine, subject, kind), await treeOf(engine, other, kind)];
  const ownersDiffer = from.isMapped || JSON.stringify(of.nested) !== JSON.stringify(from.nested);
  const [{ listChanges }, { runFileTask }, { OpenedViews }] = await Promise.all([
    import("../files/changes.ts"),
    import("../files/task.ts"),
    import("../files/view.ts"),
  ]);
  const scratch = `${engine.folders.tmp}/diff-${crypto.randomUUID()}`;
  Deno.mkdirSync(scratch, { mode: 0o700 });
  try {
    const rootfs = await of.plan(scratch);
    return await runFileTask(engine.namespaces, () => {
      using views = new OpenedViews();
      views.open({ kind: "stopped", rootfs, mounts: [] }, true);
      return listChanges({ kind: "copy", path: rootfs.target, layers: from.layers, ownersDiffer });
    }, signal);
  } finally {
    discard(engine, scratch);
    await emptyTrash(engine);
  }
}

async function treeOf(engine: Engine, text: string, kind: ComparedKind): Promise<Tree> {
  if (kind === "image") return await imageTree(engine, text);
  try {
    const { row } = await observe(engine, text);
    return await containerTree(engine, text, loadConfig(engine, row.id));
  } catch (error) {
    if (!(error instanceof NotFoundError) || kind !== undefined) throw error;
    if (await imageExists(engine, text)) return await imageTree(engine, text);
    // podman's words: it asks its storage
    const message = `${text} not found: layer not known`;
    throw new NotFoundError("container", text, { message, cause: error });
  }
}

async function imageTree(engine: Engine, text: string): Promise<Tree> {
  const ids = await imageLayers(engine, text);
  await ensureWhole(engine, ids);
  const form = layerForm(engine.namespaces);
  return {
    layers: ids.map((id) => layerPath(engine.folders, id, form)),
    async plan(scratch) {
      const driver = await chooseDriver(engine, engine.storageDriver);
      return await driver.prepare(engine, { containerDir: scratch, layers: ids, volatile: true });
    },
  };
}

async function containerTree(engine: Engine, text: string, config: ContainerConfig): Promise<Tree> {
  if (config.root.kind !== "image") throw noLayers("container", text, config.root.kind === "host");
  const nested = nestedMaps(engine, config);
  const plan = await prepareRoot(engine, config, engine.containerDir(config.id), nested);
  switch (plan.kind) {
    case "overlay":
    case "fuse-overlayfs": {
      const layers = [plan.upper, ...plan.lower];
      const isMapped = plan.kind === "overlay" && plan.idMapped !== undefined;
      return { nested, isMapped, layers, plan: (scratch) => Promise.resolve(aside(plan, layers, scratch)) };
    }
    case "directory":
      return { nested, layers: [plan.source], plan: () => Promise.resolve(plan) };
    default:
      throw noLayers("container", text, plan.kind === "host");
  }
}

/** Its own mount may be in use: what it has written is one more lower layer of another. */
function aside<Plan extends RootfsPlan & { upper: string }>(
  plan: Plan,
  lower: string[],
  scratch: string,
): Plan {
  const [upper, work, target] = [`${scratch}/upper`, `${scratch}/work`, `${scratch}/merged`];
  for (const folder of [upper, work, target]) Deno.mkdirSync(folder, { mode: 0o755 });
  const idMapped = plan.kind === "overlay" && plan.idMapped;
  // what it has written has the ids of the container
  return { ...plan, lower, upper, work, target, ...(idMapped && { idMapped: { ...idMapped, from: 1 } }) };
}

/** Diff ids, the topmost first. */
export async function imageLayers(engine: Engine, text: string): Promise<Digest[]> {
  if (text === HOST_IMAGE) throw noLayers("image", text, true);
  const db = await engine.database();
  return listLayers(db, getPlatformImage(db, text).image.id).map(({ diffId }) => diffId as Digest)
    .toReversed();
}

function noLayers(what: string, text: string, isHost: boolean): UnsupportedError {
  if (what === "image") {
    return new UnsupportedError(
      `compare image "${text}": it has no layers, but this machine's own folders`,
    );
  }
  const root = isHost ? "this machine's own folders" : "a folder of its own";
  return new UnsupportedError(`compare container "${text}": its root is ${root}, not an image`);
}

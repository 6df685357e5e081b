/** `image diff`: what an image has changed of the one below it, or of another. */

import type { Change } from "../files/changes.ts";
import { getStoredImage, HOST_IMAGE } from "../image/store.ts";
import { UnsupportedError } from "../errors.ts";
import type { Digest } from "../spec/digest.ts";
import { listLayers } from "../state/images.ts";
import { chooseDriver } from "../storage/drivers/choose.ts";
import { layerForm, layerPath } from "../storage/layers.ts";
import type { Engine } from "./engine.ts";
import { discard, emptyTrash } from "./garbage.ts";

/** Without `against`: what the topmost layer has changed. In the order of paths. */
export async function imageDiff(
  engine: Engine,
  image: string,
  against?: string,
  signal?: AbortSignal,
): Promise<Change[]> {
  const ids = await diffIdsOf(engine, image);
  const [{ listChanges }, { runFileTask }] = await Promise.all([
    import("../files/changes.ts"),
    import("../files/task.ts"),
  ]);
  const form = layerForm(engine.namespaces);
  const pathsOf = (diffIds: Digest[]) => diffIds.map((id) => layerPath(engine.folders, id, form));
  if (against === undefined) {
    const [top, ...layers] = pathsOf(ids);
    if (top === undefined) return [];
    return await runFileTask(
      engine.namespaces,
      () => listChanges({ kind: "upper", path: top, layers }),
      signal,
    );
  }
  const layers = pathsOf(await diffIdsOf(engine, against));
  const { OpenedViews } = await import("../files/view.ts");
  const folder = `${engine.folders.tmp}/diff-${crypto.randomUUID()}`;
  Deno.mkdirSync(folder, { mode: 0o700 });
  try {
    const driver = await chooseDriver(engine, engine.storageDriver);
    const rootfs = await driver.prepare(engine, {
      containerDir: folder,
      layers: ids,
      nested: undefined,
      volatile: true,
    });
    return await runFileTask(engine.namespaces, () => {
      using views = new OpenedViews();
      views.open({ kind: "stopped", rootfs, mounts: [] });
      return listChanges({ kind: "copy", path: rootfs.target, layers, ownersDiffer: false });
    }, signal);
  } finally {
    discard(engine, folder);
    await emptyTrash(engine);
  }
}

/** The topmost first. */
async function diffIdsOf(engine: Engine, text: string): Promise<Digest[]> {
  if (text === HOST_IMAGE) {
    throw new UnsupportedError(
      `compare image "${HOST_IMAGE}": it has no layers, but this machine's own folders`,
    );
  }
  const db = await engine.database();
  return listLayers(db, getStoredImage(db, text).image.id).map(({ diffId }) => diffId as Digest).toReversed();
}

/** `image diff`: what an image has changed of the one below it, or of another. */

import type { Change } from "../files/changes.ts";
import { layerForm, layerPath } from "../storage/layers.ts";
import { diffBetween, imageLayers } from "./diff_between.ts";
import { ensureWhole } from "./whole_layers.ts";
import type { Engine } from "./engine.ts";

/** Without `against`: what the topmost layer has changed. In the order of paths. */
export async function imageDiff(
  engine: Engine,
  image: string,
  against?: string,
  signal?: AbortSignal,
): Promise<Change[]> {
  if (against !== undefined) return await diffBetween(engine, image, against, "image", signal);
  const form = layerForm(engine.namespaces);
  const ids = await imageLayers(engine, image);
  await ensureWhole(engine, ids);
  const [path, ...layers] = ids.map((id) => layerPath(engine.folders, id, form));
  if (path === undefined) return [];
  const [{ listChanges }, { runFileTask }] = await Promise.all([
    import("../files/changes.ts"),
    import("../files/task.ts"),
  ]);
  return await runFileTask(
    engine.namespaces,
    () => listChanges({ kind: "upper", path, layers }),
    signal,
  );
}

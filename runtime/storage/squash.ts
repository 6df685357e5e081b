/** Several layers as one: merged without a mount, and made a layer again. */

import type { Digest } from "../spec/digest.ts";
import { type CapturedLayer, type CaptureOptions, captureUpper } from "./capture.ts";
import { flattenLayers } from "./flatten.ts";
import { layerForm, layerPath, type StorageContext } from "./layers.ts";
import { OPEN_FOLDER } from "./layered_folder.ts";
import { removeInNamespace } from "./removal.ts";
import { makeWorkFolder } from "./work_folder.ts";
import { Fd, open } from "../../ffi/file.ts";

/** What the layers show together, the lowest first, apart from what the first `kept` show; null where that is nothing. */
export async function squashLayers(
  context: StorageContext,
  layers: readonly { diffId: Digest }[],
  options: Pick<CaptureOptions, "times" | "keepBlob" | "signal">,
  kept = 0,
): Promise<CapturedLayer | null> {
  const form = layerForm(context.namespaces);
  // as the folders of builds, which the next build removes where this process was killed
  using tmp = new Fd(open(context.folders.tmp, OPEN_FOLDER));
  const work = makeWorkFolder(tmp.number, "steps-");
  using _held = new Fd(work.fd);
  const dir = `${context.folders.tmp}/${work.name}`;
  try {
    const paths = layers.toReversed().map(({ diffId }) => layerPath(context.folders, diffId, form));
    await flattenLayers(context, paths, dir, "tree");
    const plan = { kind: "directory", source: `${dir}/tree`, target: "" } as const;
    const root = { plan, layers: layers.slice(0, kept), mergedOf: paths };
    return await captureUpper(context, root, { ...options, omit: [] });
  } finally {
    await removeInNamespace(context, [dir]);
  }
}

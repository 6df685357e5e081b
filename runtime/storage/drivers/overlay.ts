/**
 * The kernel's overlay: in the user's namespace with `userxattr` (Linux 5.11), as root with trusted.* marks.
 *
 * @see Linux Documentation/filesystems/overlayfs.rst
 */

import type { RootfsPlan } from "../../monitor/plan.ts";
import { type LayerForm, layerForm, type StorageContext } from "../layers.ts";
import { makeContainerFolders } from "./container_folders.ts";
import type { RootRequest, StorageDriver } from "./driver.ts";

export const overlay: StorageDriver = {
  name: "overlay",

  async probe(context) {
    const { probeOverlay } = await import("./probe.ts");
    return await probeOverlay(context);
  },

  async prepare(context, request): Promise<RootfsPlan> {
    const form = await formFor(context, request);
    const folders = await makeContainerFolders(
      context,
      request.containerDir,
      request.layers,
      form,
      request.lazy,
    );
    return {
      kind: "overlay",
      ...folders,
      userxattr: context.namespaces.isRootless,
      volatile: request.volatile ?? false,
      ...(request.lazy === undefined ? {} : { lazy: request.lazy.lower }),
    };
  },
};

async function formFor(context: StorageContext, request: RootRequest): Promise<LayerForm> {
  // With a single id there is nothing to shift: the one id is the one id in any nested namespace.
  if (request.nested === undefined || context.namespaces.maps.isSingle) return layerForm(context.namespaces);
  const { ensureShiftedLayers } = await import("../shifted_layers.ts");
  return await ensureShiftedLayers(context, request.layers, request.nested);
}

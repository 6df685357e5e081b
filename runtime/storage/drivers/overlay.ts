/**
 * The kernel's overlay: in the user's namespace with `userxattr` (Linux 5.11), as root with trusted.* marks.
 *
 * @see Linux Documentation/filesystems/overlayfs.rst
 */

import type { RootfsPlan } from "../../monitor/plan.ts";
import { formatIdMap } from "../../namespaces/id_map.ts";
import { type LayerForm, layerForm, type StorageContext } from "../layers.ts";
import type { NestedMaps } from "../layer_copy.ts";
import { makeContainerFolders, makeFolder } from "./container_folders.ts";
import type { RootRequest, StorageDriver } from "./driver.ts";

export const overlay: StorageDriver = {
  name: "overlay",

  async probe(context) {
    const { probeOverlay } = await import("./probe.ts");
    return await probeOverlay(context);
  },

  async prepare(context, request): Promise<RootfsPlan> {
    const mapped = await findMapped(context, request);
    const form = mapped ? layerForm(context.namespaces) : await formFor(context, request);
    const folders = await makeContainerFolders(
      context,
      request.containerDir,
      request.layers,
      form,
      request.lazy,
      mapped,
    );
    const place = `${request.containerDir}/mapped`;
    if (mapped) makeFolder(place, 0o700);
    return {
      kind: "overlay",
      ...folders,
      userxattr: context.namespaces.isRootless,
      volatile: request.volatile ?? false,
      ...(request.lazy === undefined ? {} : { lazy: request.lazy.lower }),
      ...(mapped && folders.lower.length > 0 &&
        { idMapped: { uidMap: formatIdMap(mapped.uid), gidMap: formatIdMap(mapped.gid), place, from: 0 } }),
    };
  },
};

/** As real root the kernel shows layers with other owners, where it can; files in the upper folder have them anyway. */
async function findMapped(context: StorageContext, { nested }: RootRequest): Promise<NestedMaps | undefined> {
  if (nested === undefined || context.namespaces.isRootless) return undefined;
  const { canMapLayers } = await import("./probe_mapped.ts");
  return await canMapLayers(context) ? nested : undefined;
}

async function formFor(context: StorageContext, request: RootRequest): Promise<LayerForm> {
  // With a single id there is nothing to shift: the one id is the one id in any nested namespace.
  if (request.nested === undefined || context.namespaces.maps.isSingle) return layerForm(context.namespaces);
  const { ensureShiftedLayers } = await import("../shifted_layers.ts");
  return await ensureShiftedLayers(context, request.layers, request.nested);
}

/** No overlay at all: the layers are copied into one folder when the container is created. Works everywhere. */

import type { RootfsPlan } from "../../monitor/plan.ts";
import { layerForm, layerPath } from "../layers.ts";
import { makeFolder } from "./container_folders.ts";
import type { StorageDriver } from "./driver.ts";

export const vfs: StorageDriver = {
  name: "vfs",

  probe: () => Promise.resolve(null),

  async prepare(context, request): Promise<RootfsPlan> {
    const source = `${request.containerDir}/rootfs`;
    const target = `${request.containerDir}/merged`;
    makeFolder(target, 0o755);
    if (!isFolder(source)) {
      const { flattenLayers } = await import("../flatten.ts");
      const form = layerForm(context.namespaces);
      const layers = request.layers.map((diffId) => layerPath(context.folders, diffId, form));
      const nested = context.namespaces.maps.isSingle ? undefined : request.nested;
      await flattenLayers(context, layers, request.containerDir, "rootfs", nested);
    }
    return { kind: "directory", source, target };
  },
};

function isFolder(path: string): boolean {
  try {
    return Deno.lstatSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

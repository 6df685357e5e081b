/**
 * fuse-overlayfs(1), for kernels that refuse overlay in a user namespace. It maps ids itself, so that a nested
 * namespace needs no copies of layers.
 */

import type { RootfsPlan } from "../../monitor/plan.ts";
import { HostError } from "../../errors.ts";
import { layerForm } from "../layers.ts";
import { makeContainerFolders } from "./container_folders.ts";
import type { StorageDriver } from "./driver.ts";

/** Never from the caller's PATH: as root it would run what a user put there. */
const PROGRAM_FOLDERS = ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/sbin"];

export const fuseOverlayfs: StorageDriver = {
  name: "fuse-overlayfs",

  async probe(context) {
    const program = findFuseOverlayfs();
    if (program === undefined) return "fuse-overlayfs is not installed";
    const { probeFuseOverlayfs } = await import("./probe.ts");
    return await probeFuseOverlayfs(context, program);
  },

  async prepare(context, request): Promise<RootfsPlan> {
    const program = findFuseOverlayfs();
    if (program === undefined) {
      throw new HostError("use storage driver fuse-overlayfs: fuse-overlayfs is not installed", {
        hint: "install fuse-overlayfs, or use another --storage-driver",
      });
    }
    const form = layerForm(context.namespaces);
    const folders = await makeContainerFolders(context, request.containerDir, request.layers, form);
    const nested = context.namespaces.maps.isSingle ? undefined : request.nested;
    return {
      kind: "fuse-overlayfs",
      program,
      ...folders,
      uidMappings: nested?.uid,
      gidMappings: nested?.gid,
    };
  },
};

/** The program's absolute path. */
export function findFuseOverlayfs(): string | undefined {
  for (const folder of PROGRAM_FOLDERS) {
    try {
      const info = Deno.statSync(`${folder}/fuse-overlayfs`);
      if (info.isFile && ((info.mode ?? 0) & 0o111) !== 0) return `${folder}/fuse-overlayfs`;
    } catch {
      // Not here; the next folder may have it.
    }
  }
}

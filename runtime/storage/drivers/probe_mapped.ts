/** Whether the kernel shows layers with other owners here, on this file system; found out once a boot. */

import type { StorageContext } from "../layers.ts";
import { findReason, MAPPED_LAYERS } from "./choose.ts";

export async function canMapLayers(context: StorageContext): Promise<boolean> {
  const reason = await findReason(context, MAPPED_LAYERS, async () => {
    const { probeMappedLayers } = await import("./probe.ts");
    return await probeMappedLayers(context);
  });
  return reason === null;
}

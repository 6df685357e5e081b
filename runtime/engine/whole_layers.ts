/** For who needs all of a layer: one that was pulled lazily is pulled whole first. */

import type { Digest } from "../spec/digest.ts";
import { hasLayer, layerForm } from "../storage/layers.ts";
import type { Engine } from "./engine.ts";

/** @throws RegistryError, VerificationError where the registry does not give a layer any more */
export async function ensureWhole(engine: Engine, diffIds: readonly string[]): Promise<void> {
  const form = layerForm(engine.namespaces);
  if (diffIds.every((id) => hasLayer(engine.folders, id as Digest, form))) return;
  const { completeMissing } = await import("./lazy_root.ts");
  await completeMissing(engine, diffIds);
}

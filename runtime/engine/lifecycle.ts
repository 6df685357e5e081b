/** The options that look after a container, with the names of other containers made ids. */

import { type Lifecycle, resolveLifecycle } from "../container/lifecycle_options.ts";
import type { ImageConfig } from "../spec/image.ts";
import { rememberSupervised } from "../state/supervised.ts";
import { observe } from "./containers.ts";
import type { Engine } from "./engine.ts";
import type { CreateOptions } from "./options.ts";

export async function lifecycleOf(
  engine: Engine,
  options: CreateOptions,
  image: ImageConfig | undefined,
): Promise<Lifecycle | undefined> {
  const lifecycle = options.lifecycle ?? {};
  const requires: string[] = [];
  for (const text of lifecycle.requires ?? []) requires.push((await observe(engine, text)).row.id);
  const autoRemove = options.autoRemove ?? false;
  const resolved = resolveLifecycle({ ...lifecycle, requires }, image?.config?.Healthcheck, autoRemove);
  if (resolved) rememberSupervised(engine.folders);
  return resolved;
}

/** The root filesystem of a container as plan data, from whatever its image is. */

import type { ContainerConfig } from "../container/config.ts";
import type { RootfsPlan } from "../monitor/plan.ts";
import type { IdMapping } from "../spec/runtime.ts";
import type { Engine } from "./engine.ts";

export async function prepareRoot(
  engine: Engine,
  config: ContainerConfig,
  containerDir: string,
  nested: { uid: IdMapping[]; gid: IdMapping[] } | undefined,
): Promise<RootfsPlan> {
  const target = `${containerDir}/merged`;
  Deno.mkdirSync(target, { recursive: true, mode: 0o755 });
  switch (config.root.kind) {
    case "rootfs":
      return { kind: "directory", source: config.root.path, target };
    default:
      throw new Error("not wired");
  }
}

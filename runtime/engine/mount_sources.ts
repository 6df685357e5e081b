/** What a container mounts, by its names: those of volumes, and folders of the host. */

import { loadConfig } from "./containers.ts";
import type { Engine } from "./engine.ts";

export interface MountSource {
  source: string;
  destination: string;
}

/** None where the container has just been removed. */
export function mountSources(engine: Engine, id: string): MountSource[] {
  try {
    return loadConfig(engine, id).mounts.flatMap((mount) => {
      const { destination } = mount;
      if (mount.kind === "volume") return [{ source: mount.name, destination }];
      return mount.kind === "bind" ? [{ source: mount.source, destination }] : [];
    });
  } catch {
    return [];
  }
}

/** What of the user's is mounted in a container that does not run, for who looks at its files. */

import type { ContainerConfig } from "../container/config.ts";
import { type MountFacts, planMounts } from "../container/default_mounts.ts";
import type { MountSpec } from "../spec/runtime.ts";
import { volumePath } from "../storage/volumes.ts";
import type { Engine } from "./engine.ts";

/** The volumes and bind mounts of the user's, without what only a running container has. */
export async function ownMounts(engine: Engine, config: ContainerConfig): Promise<MountSpec[]> {
  const kept = new Set(
    // a plugin has mounted nothing for a container that does not run
    config.mounts.filter((mount) => mount.kind !== "tmpfs" && !(mount.kind === "volume" && mount.driver)).map(
      ({ destination }) => destination,
    ),
  );
  const facts: MountFacts = {
    mapsTtyGroup: false,
    mayMountSysfs: false,
    isNested: false,
    canMakeDevices: !engine.namespaces.isRootless,
    generated: [],
    volumePath: (name) => volumePath(engine.folders, name),
  };
  const mounts = planMounts(config, facts).filter(({ type, destination }) =>
    type === "bind" && kept.has(destination)
  );
  // a tmpfs that nobody has mounted begins and ends with the view
  const fresh = new Map(
    config.mounts.flatMap((mount) =>
      mount.kind === "volume" && mount.filesystem ? [[mount.destination, mount.filesystem]] : []
    ),
  );
  return await Promise.all(mounts.map(async (mount) => {
    const filesystem = fresh.get(mount.destination);
    if (filesystem === undefined) return mount;
    const { withServerAddress } = await import("./nfs_server.ts");
    const { type, device: source, options } = await withServerAddress(filesystem);
    return { destination: mount.destination, type, source, options };
  }));
}

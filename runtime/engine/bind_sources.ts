/** What bind mounts show must be there. */

import type { ContainerMount } from "../container/mount_options.ts";
import { InvalidArgumentError } from "../errors.ts";

/** As podman: a bind mount of nothing is an error, not a new folder. */
export function checkBindSources(mounts: readonly ContainerMount[]): void {
  for (const mount of mounts) {
    if (mount.kind !== "bind") continue;
    try {
      if (mount.keepsLinks) Deno.lstatSync(mount.source);
      else Deno.statSync(mount.source);
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) continue; // the monitor may see what we may not
      throw new InvalidArgumentError(`statfs ${mount.source}: no such file or directory`, { cause });
    }
  }
}

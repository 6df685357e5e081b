/** The user namespace that a container has of its own, within the one that all of the user's share. */

import type { ContainerConfig } from "../container/config.ts";
import { ConflictError } from "../errors.ts";
import { mappedIdCount, nestedIdMap } from "../namespaces/id_map.ts";
import type { NestedMaps } from "../storage/layer_copy.ts";
import type { Engine } from "./engine.ts";

/** The maps of `--userns keep-id` and `nomap`, counted in the ids of the user's shared namespace. */
export function nestedMaps(engine: Engine, config: ContainerConfig): NestedMaps | undefined {
  if (config.userns === "host") return undefined;
  if (config.idMaps) return config.idMaps;
  const { uid, gid, maps } = engine.namespaces;
  const kind = config.userns === "nomap" ? "nomap" : "keep-id";
  // init must be able to become root of it
  if (maps.isSingle) {
    throw new ConflictError(`use user namespace "${config.userns}": ${maps.reason}`);
  }
  return {
    uid: nestedIdMap(kind, uid, mappedIdCount(maps.uid)),
    gid: nestedIdMap(kind, gid, mappedIdCount(maps.gid)),
  };
}

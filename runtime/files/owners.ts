/** Ids of a container with a user namespace of its own, as its files have them in the user's shared one. */

import type { Owner } from "../rootfs/in_root.ts";
import type { IdMapping } from "../spec/runtime.ts";
import type { NestedMaps } from "../storage/layer_copy.ts";

/** As the user's shared namespace numbers them. Ids that have no number there become nobody's. */
export function toSharedIds({ uid, gid }: Owner, nested: NestedMaps | undefined): Owner {
  if (nested === undefined) return { uid, gid };
  return { uid: translate(nested.uid, uid, true), gid: translate(nested.gid, gid, true) };
}

/** The same, the other way round. */
export function toContainerIds({ uid, gid }: Owner, nested: NestedMaps | undefined): Owner {
  if (nested === undefined) return { uid, gid };
  return { uid: translate(nested.uid, uid, false), gid: translate(nested.gid, gid, false) };
}

/** What the kernel shows for an id without a number. @see user_namespaces(7), overflowuid */
const NOBODY = 65534;

function translate(mappings: readonly IdMapping[], id: number, inward: boolean): number {
  for (const { containerID, hostID, size } of mappings) {
    const [from, to] = inward ? [containerID, hostID] : [hostID, containerID];
    if (id >= from && id < from + size) return to + id - from;
  }
  return NOBODY;
}

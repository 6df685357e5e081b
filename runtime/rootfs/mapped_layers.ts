/**
 * Layers as a container of real root with a user namespace of its own is to see them: idmapped mounts, which cost
 * nothing, in place of copies with other owners.
 *
 * overlay takes a layer only from what is mounted in its caller's mount namespace. So the layers are mounted one upon
 * the other in a folder of the container's, opened, and taken away again once overlay has them.
 *
 * @see Documentation/filesystems/overlayfs.rst (idmapped layers since Linux 5.19)
 */

import { Fd, open } from "../../ffi/file.ts";
import { bindIdMapped, emptyUserNamespace } from "../../ffi/idmapped_mount.ts";
import { umount2 } from "../../ffi/mount.ts";
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts";
import { MNT_DETACH } from "../../ffi/constants/mount.ts";
import type { IdMappedLayers } from "../monitor/plan.ts";

/** Gives the layers' descriptors; they and the mounts go with `held`. */
export function mapLayers(
  layers: readonly string[],
  { uidMap, gidMap, place }: IdMappedLayers,
  held: DisposableStack,
): number[] {
  using namespace = new Fd(emptyUserNamespace(uidMap, gidMap));
  return layers.map((path) => {
    bindIdMapped(path, place, namespace.number);
    held.defer(() => umount2(place, MNT_DETACH));
    return held.use(new Fd(open(place, O_PATH | O_DIRECTORY | O_CLOEXEC))).number;
  });
}

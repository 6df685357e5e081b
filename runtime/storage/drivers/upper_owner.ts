/** The owner of a container's `/` where it is not the user: only root of the user's namespace can give it. */

import { runInNamespace } from "../namespace_task.ts";
import { type NestedMaps, shiftId } from "../layer_copy.ts";
import type { StorageContext } from "../layers.ts";
import { fchmodat, fchownat, lstat } from "../../../ffi/file.ts";
import { AT_FDCWD } from "../../../ffi/constants/fcntl.ts";

/** Gives the folder `to` owner and mode of the folder `from`. */
export async function copyOwner(context: StorageContext, from: string, to: string): Promise<void> {
  await runInNamespace(context, "prepare root", () => {
    const { uid, gid, mode } = lstat(from);
    fchownat(AT_FDCWD, to, uid, gid);
    fchmodat(AT_FDCWD, to, mode & 0o7777);
  });
}

/** As root: gives it to who the owner of a layer's root, or root, is in the container's user namespace. */
export function giveMapped(path: string, layer: Deno.FileInfo | undefined, { uid, gid }: NestedMaps): void {
  const { mode } = lstat(path);
  fchownat(AT_FDCWD, path, shiftId(uid, layer?.uid ?? 0), shiftId(gid, layer?.gid ?? 0));
  fchmodat(AT_FDCWD, path, mode & 0o7777);
}

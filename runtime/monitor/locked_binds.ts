/**
 * Bind mounts of a container that real root has put into a user namespace: with flags that its own root cannot take
 * back.
 *
 * What is mounted when a mount namespace is made for another user namespace keeps its flags there, and so do all copies
 * of it; what init mounts in it afterwards, who has CAP_SYS_ADMIN can mount again without them (`mount -o
 * remount,dev`). As nothing else keeps a container from devices, those of the folders that it is shown would be open.
 * So they are mounted here first, outside of that namespace:
 *
 * ```
 *  containers/<id>/binds/<n>[.file]    of the n-th mount, what init copies into the container
 * ```
 * @see mount_namespaces(7), "Restrictions on mount namespaces"
 */

import { close, Fd, fstat, open } from "../../ffi/file.ts";
import { move_mount } from "../../ffi/mount.ts";
import { AT_FDCWD, O_CLOEXEC, O_CREAT, O_PATH, O_WRONLY } from "../../ffi/constants/fcntl.ts";
import { MOVE_MOUNT_F_EMPTY_PATH } from "../../ffi/constants/mount.ts";
import { S_IFDIR, S_IFMT } from "../../ffi/constants/stat.ts";
import { cloneMount, configureBind } from "../rootfs/detached_mount.ts";
import { parseMountWords } from "../rootfs/mount_words.ts";
import type { MountSpec } from "../spec/runtime.ts";

/**
 * To be called once, in the monitor's namespaces, when all else is mounted. What it mounts goes with a mount at `place`.
 *
 * @param own paths that the monitor has mounted itself: these get their flags where they are
 */
export function lockBinds(mounts: readonly MountSpec[], place: string, own: ReadonlySet<string>): void {
  Deno.mkdirSync(place, { recursive: true, mode: 0o700 });
  using itself = new Fd(cloneMount(place, false));
  move_mount(itself.number, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH);
  for (const [index, spec] of mounts.entries()) {
    const words = parseMountWords(spec.options);
    const isBind = words.isBind || spec.type === "bind";
    if (!isBind || words.keepsLink || spec.content !== undefined) continue;
    // views of the kernel's file systems, which have no devices
    if (spec.source === "/proc" || spec.source === "/sys") continue;
    if (own.has(spec.source)) {
      using mounted = new Fd(open(spec.source, O_PATH | O_CLOEXEC));
      configureBind(mounted.number, words);
      continue;
    }
    using tree = new Fd(cloneMount(spec.source, words.isRecursive));
    configureBind(tree.number, words);
    const isFolder = (fstat(tree.number).mode & S_IFMT) === S_IFDIR;
    const target = isFolder ? `${place}/${index}` : `${place}/${index}.file`;
    if (isFolder) Deno.mkdirSync(target, { recursive: true, mode: 0o700 });
    else close(open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600));
    move_mount(tree.number, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
    spec.source = target;
  }
}

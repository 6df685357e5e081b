/**
 * The mount that shows layers which are not here yet: made by whoever mounts the root, served by another process.
 *
 * ```
 *  this process ── FUSE mount at `target`; its descriptor by the socket ──▶ skiff __lazy, which answers
 * ```
 * @see runtime/engine/lazy_serve.ts
 */

import { AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM } from "../../ffi/constants/socket.ts";
import { Fd, open } from "../../ffi/file.ts";
import { connectUnix, sendWithFds, socket } from "../../ffi/socket.ts";
import { MOUNT_ATTR_NODEV, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY } from "../../ffi/constants/mount.ts";
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts";
import { S_IFDIR } from "../../ffi/constants/stat.ts";
import { newFuseMount, openFuse } from "../fuse/mount.ts";
import type { LazyLower } from "../monitor/plan.ts";
import { attach } from "./detached_mount.ts";

/** Mounts, and lets the server have the other end. */
export function mountLazyLower(plan: LazyLower): void {
  using fuse = new Fd(openFuse());
  using mount = new Fd(newFuseMount(fuse.number, {
    source: "skiff-lazy",
    subtype: "skiff",
    rootMode: S_IFDIR | 0o755,
    attributes: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
  }));
  using target = new Fd(open(plan.target, O_PATH | O_DIRECTORY | O_CLOEXEC));
  using connection = new Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC));
  connectUnix(connection.number, plan.socket);
  sendWithFds(connection.number, new Uint8Array(1), [fuse.number]);
  attach(mount.number, target.number);
}

/**
 * A FUSE file system of our own, mounted inside the user namespace without fusermount(1).
 *
 * The kernel wants /dev/fuse to be opened in the user namespace that mounts (Linux 4.18): both are done by one
 * process. Who forks gives the descriptor to the child that serves and closes its own, so that the mount's
 * connection ends with that child: then every access fails with ENOTCONN. Where another has a twin of the descriptor,
 * what the child has read and not answered still ends with it (ECONNABORTED), and all else with the last of them, or
 * by `abortFuseMount`.
 *
 * @see linux/Documentation/filesystems/fuse.rst
 */

import { EACCES, EBUSY, EINVAL, ENODEV, ENOENT, ENXIO, EPERM, isErrno } from "../../ffi/errno.ts";
import { close, Fd, ioctl, open } from "../../ffi/file.ts";
import { newFilesystem, umount2 } from "../../ffi/mount.ts";
import { O_CLOEXEC, O_PATH, O_RDWR } from "../../ffi/constants/fcntl.ts";
import { FUSE_DEV_IOC_CLONE } from "../../ffi/constants/ioctl.ts";
import { MNT_FORCE, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOSUID } from "../../ffi/constants/mount.ts";
import { HostError } from "../errors.ts";

export interface FuseMountOptions {
  /** What `mount` and /proc/mounts show as the device. */
  source: string;
  /** Shown as `fuse.SUBTYPE`. */
  subtype: string;
  /** S_IFDIR, or S_IFREG where the mount is one file. */
  rootMode: number;
  /** The owner in the user namespace, which must be mapped in it. */
  uid?: number;
  gid?: number;
  /** Bytes of the largest READ. */
  maxRead?: number;
  /** MOUNT_ATTR_*; nosuid and nodev where not given. */
  attributes?: number;
}

/** Opens /dev/fuse. */
export function openFuse(): number {
  try {
    return open("/dev/fuse", O_RDWR | O_CLOEXEC);
  } catch (error) {
    if (!isErrno(error, ENOENT, ENODEV, ENXIO, EACCES, EPERM)) throw error;
    const isMissing = isErrno(error, ENOENT, ENODEV, ENXIO);
    throw new HostError(`open /dev/fuse: ${isMissing ? "there is no FUSE here" : "permission denied"}`, {
      cause: error,
      hint: isMissing
        ? "load the kernel's module (as root: modprobe fuse), or give the device to the machine or container that skiff runs in"
        : "/dev/fuse must be readable and writable for this user (mode 0666)",
    });
  }
}

/**
 * Another descriptor of the connection of `fuseFd`, once that is mounted. Requests belong to the one they were read from:
 * who only writes to this one keeps no request from ending with its reader.
 */
export function openFuseTwin(fuseFd: number): number {
  const twin = openFuse();
  try {
    ioctl(twin, FUSE_DEV_IOC_CLONE, new Uint8Array(Uint32Array.of(fuseFd).buffer));
    return twin;
  } catch (error) {
    close(twin);
    throw error;
  }
}

/**
 * A detached mount that the reader of `fuseFd` serves. Permissions are checked by the kernel with the owners and modes it is
 * told; every user of the namespace (and of those below it) may use it.
 */
export function newFuseMount(fuseFd: number, options: FuseMountOptions): number {
  const { source, subtype, rootMode, uid = 0, gid = 0, maxRead = 1 << 20 } = options;
  const words = [
    `fd=${fuseFd}`,
    `rootmode=${rootMode.toString(8)}`,
    `user_id=${uid}`,
    `group_id=${gid}`,
    "default_permissions",
    "allow_other",
    `max_read=${maxRead}`,
  ];
  const attributes = options.attributes ?? (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  try {
    return newFilesystem(`fuse.${subtype}`, source, words, attributes);
  } catch (error) {
    if (!isErrno(error, EPERM, EINVAL, ENODEV)) throw error;
    throw new HostError(`mount a FUSE file system: ${error.message}`, {
      cause: error,
      hint: "the kernel must let user namespaces mount FUSE (Linux 4.18, module fuse)",
    });
  }
}

/**
 * Ends the connection of the mount at `target`, whose server is gone: who waits for an answer that nobody read the
 * question of gets ECONNABORTED, though another has a twin of the descriptor. The mount stays.
 *
 * @see umount2(2), MNT_FORCE
 */
export function abortFuseMount(target: string): void {
  try {
    // in use as it is, it is not unmounted besides
    using _used = new Fd(open(target, O_PATH | O_CLOEXEC));
    umount2(target, MNT_FORCE);
  } catch (error) {
    // EINVAL, ENOENT: it is not mounted any more
    if (!isErrno(error, EBUSY, EINVAL, ENOENT)) throw error;
  }
}

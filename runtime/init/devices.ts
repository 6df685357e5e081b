/**
 * A fresh /dev: the few devices that every program expects, the links beside them, and the console.
 *
 * @see OCI runtime-spec config-linux.md, default devices
 */

import { EEXIST, EPERM, isErrno } from "../../ffi/errno.ts";
import { Fd, fstat, mknodat, open, openat, symlinkat } from "../../ffi/file.ts";
import { mount_setattr } from "../../ffi/mount.ts";
import {
  AT_EMPTY_PATH,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_WRONLY,
} from "../../ffi/constants/fcntl.ts";
import {
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
} from "../../ffi/constants/mount.ts";
import { S_IFCHR, S_IFMT } from "../../ffi/constants/stat.ts";
import { SkiffError } from "../errors.ts";
import { attach, cloneMount } from "../rootfs/detached_mount.ts";
import { ensureFileInRoot, ensureFolderInRoot } from "../rootfs/in_root.ts";

/** Name, major, minor. @see Documentation/admin-guide/devices.txt */
const DEFAULT_DEVICES: readonly (readonly [name: string, major: number, minor: number])[] = [
  ["null", 1, 3],
  ["zero", 1, 5],
  ["full", 1, 7],
  ["random", 1, 8],
  ["urandom", 1, 9],
  ["tty", 5, 0],
];

const LINKS: readonly (readonly [name: string, target: string])[] = [
  ["fd", "/proc/self/fd"],
  ["stdin", "/proc/self/fd/0"],
  ["stdout", "/proc/self/fd/1"],
  ["stderr", "/proc/self/fd/2"],
  ["core", "/proc/kcore"],
  ["ptmx", "pts/ptmx"],
];

/** A device of the host, copied detached while its path is there. */
export interface PreparedDevice {
  fd: number;
  destination: string;
}

/** Copies of the host's device files, each proven to be the device it is called. */
export function prepareDevices(extra: readonly { source: string; destination: string }[]): PreparedDevice[] {
  const defaults = DEFAULT_DEVICES.map((device) => {
    const fd = cloneDevice(`/dev/${device[0]}`);
    checkDevice(fd, device);
    return { fd, destination: `/dev/${device[0]}` };
  });
  return [...defaults, ...extra.map(({ source, destination }) => ({ fd: cloneDevice(source), destination }))];
}

function checkDevice(fd: number, [name, major, minor]: (typeof DEFAULT_DEVICES)[number]): void {
  const stat = fstat(fd);
  if ((stat.mode & S_IFMT) !== S_IFCHR || stat.rdevMajor !== major || stat.rdevMinor !== minor) {
    throw new SkiffError(`/dev/${name} of the host is not the character device ${major}:${minor}`);
  }
}

function cloneDevice(path: string): number {
  const fd = cloneMount("", false, open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  mount_setattr(fd, "", AT_EMPTY_PATH, { set: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, clear: 0 });
  return fd;
}

/**
 * What makes covers for files that are masked: the null device, which cannot even be given another mode.
 *
 * They are copies of the host's own mount: before Linux 6.15 a detached one cannot be copied.
 */
export function openNullMask(): () => number {
  const host = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
  checkDevice(host, DEFAULT_DEVICES[0]!);
  return () => {
    const fd = cloneMount("", false, host);
    const set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY;
    mount_setattr(fd, "", AT_EMPTY_PATH, { set, clear: 0 });
    return fd;
  };
}

/** How /dev is filled. */
export interface DeviceRights {
  /** Device nodes can be made; they are bound otherwise. */
  canMakeNodes: boolean;
  /** No node but the bound ones works: see `forbidOtherDevices`. */
  onlyBound: boolean;
}

/** Fills /dev of the root with the devices and links. */
export function placeDevices(root: number, devices: readonly PreparedDevice[], rights: DeviceRights): void {
  const nodes = new Map(
    DEFAULT_DEVICES.map(([name, major, minor]) => [`/dev/${name}`, { name, major, minor }]),
  );
  const dev = ensureFolderInRoot(root, "/dev");
  if (rights.onlyBound) forbidOtherDevices(dev);
  for (const { fd, destination } of devices) {
    const node = nodes.get(destination);
    if (node && rights.canMakeNodes && !rights.onlyBound && makeNode(dev, node)) continue;
    attach(fd, (node && makeMountPoint(dev, node.name)) ?? ensureFileInRoot(root, destination));
  }
  for (const [name, target] of LINKS) {
    try {
      symlinkat(target, dev, name);
    } catch (error) {
      if (!isErrno(error, EEXIST)) throw error;
    }
  }
}

/**
 * Device nodes on this mount open nothing. Root without a user namespace has CAP_MKNOD by default, so it could
 * otherwise make itself a node of the host's disk.
 */
export function forbidOtherDevices(mountFd: number): void {
  mount_setattr(mountFd, "", AT_EMPTY_PATH, { set: MOUNT_ATTR_NODEV, clear: 0 });
}

/** An empty file in a fresh /dev, or undefined where the name is taken. */
function makeMountPoint(dev: number, name: string): number | undefined {
  try {
    return openat(dev, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644);
  } catch (error) {
    if (isErrno(error, EEXIST)) return undefined;
    throw error;
  }
}

function makeNode(dev: number, node: { name: string; major: number; minor: number }): boolean {
  try {
    mknodat(dev, node.name, S_IFCHR | 0o666, node.major, node.minor);
    return true;
  } catch (error) {
    if (isErrno(error, EPERM, EEXIST)) return false;
    throw error;
  }
}

/** Binds a terminal to /dev/console, by its descriptor (CVE-2025-52565). */
export function placeConsole(root: number, terminal: number): void {
  using clone = new Fd(cloneMount("", false, terminal));
  using target = new Fd(ensureFileInRoot(root, "/dev/console"));
  attach(clone.number, target.number);
}

/**
 * A fresh /dev: the few devices that every program expects, the links beside them, and the console.
 *
 * @see OCI runtime-spec config-linux.md, default devices
 */

import { EEXIST, EPERM, isErrno } from "../../ffi/errno.ts";
import { close, Fd, fstat, mknodat, open, symlinkat } from "../../ffi/file.ts";
import { O_CLOEXEC, O_NOFOLLOW, O_PATH } from "../../ffi/constants/fcntl.ts";
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
  const defaults = DEFAULT_DEVICES.map(([name, major, minor]) => {
    const fd = cloneDevice(`/dev/${name}`);
    const stat = fstat(fd);
    if ((stat.mode & S_IFMT) !== S_IFCHR || stat.rdevMajor !== major || stat.rdevMinor !== minor) {
      throw new SkiffError(`/dev/${name} of the host is not the character device ${major}:${minor}`);
    }
    return { fd, destination: `/dev/${name}` };
  });
  return [...defaults, ...extra.map(({ source, destination }) => ({ fd: cloneDevice(source), destination }))];
}

function cloneDevice(path: string): number {
  using own = new Fd(open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  return cloneMount("", false, own.number);
}

/** Fills /dev of the root. Where the mount there is the container's own, devices are made, else bound. */
export function placeDevices(root: number, devices: readonly PreparedDevice[], canMakeNodes: boolean): void {
  const nodes = new Map(
    DEFAULT_DEVICES.map(([name, major, minor]) => [`/dev/${name}`, { name, major, minor }]),
  );
  using dev = new Fd(ensureFolderInRoot(root, "/dev"));
  for (const { fd, destination } of devices) {
    const node = nodes.get(destination);
    if (!(node && canMakeNodes && makeNode(dev.number, node))) {
      using target = new Fd(ensureFileInRoot(root, destination));
      attach(fd, target.number);
    }
    close(fd);
  }
  for (const [name, target] of LINKS) {
    try {
      symlinkat(target, dev.number, name);
    } catch (error) {
      if (!isErrno(error, EEXIST)) throw error;
    }
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

/** Why a container does not have the kernel's overlay, and what can be done about it. */

import type { StorageContext } from "../layers.ts";
import { knownReasons } from "./choose.ts";
import type { DriverName } from "./driver.ts";

/** A sentence's end, from what the trials of this boot found; undefined where overlay was not tried. */
export function explainDriver(context: StorageContext, driver: DriverName): string | undefined {
  const reasons = knownReasons(context);
  const { overlay, "fuse-overlayfs": fuse } = reasons;
  if (!overlay) return undefined;
  const cause = `(${overlay}), so fuse-overlayfs is, which is slower`;
  if (driver === "fuse-overlayfs") return `${cause}; ${overlayRemedy(overlay)}`;
  return `(${overlay}), nor fuse-overlayfs (${
    fuse ?? "not tried"
  }), so each container gets a copy of its image; ` +
    copyRemedy(overlay, fuse ?? "");
}

const OTHER_FILESYSTEM = "keep data on ext4, xfs or btrfs: XDG_DATA_HOME names the folder";
/** An upper folder on an overlay is the usual case of it: that of a container that skiff runs in. */
const OTHER_FILESYSTEM_TOO = "keep data on ext4, xfs or btrfs, in a container on a volume";

/** What an upper folder needs was refused: whiteouts, extended attributes, or to be one at all. */
function isFilesystemsFault(reason: string): boolean {
  return /mknod|setxattr|upper|invalid argument/i.test(reason);
}

/** What makes the kernel's overlay work. */
export function overlayRemedy(reason: string): string {
  return isFilesystemsFault(reason)
    ? OTHER_FILESYSTEM
    : "use Linux 5.12 or newer, which mounts overlay without root";
}

function copyRemedy(overlay: string, fuse: string): string {
  if (isFilesystemsFault(fuse)) return OTHER_FILESYSTEM;
  return isFilesystemsFault(overlay) ? `${fuseRemedy(fuse)}, or ${OTHER_FILESYSTEM_TOO}` : fuseRemedy(fuse);
}

/** What makes fuse-overlayfs work. */
export function fuseRemedy(reason: string): string {
  if (/not installed/.test(reason)) return "install the package fuse-overlayfs";
  return "make /dev/fuse usable: as root, chmod 666 /dev/fuse; in a container, pass it with --device /dev/fuse";
}

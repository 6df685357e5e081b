/** Owner, mode, times and extended attributes of unpacked entries, set without following a link. */

import { bytesOf, displayName } from "../archive/byte_string.ts";
import type { TarEntry } from "../archive/tar.ts";
import { HostError } from "../errors.ts";
import { close, fchmodat, fchownat, openat, utimensat } from "../../ffi/file.ts";
import { fsetxattr, lsetxattr } from "../../ffi/xattr.ts";
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
} from "../../ffi/constants/fcntl.ts";
import { EINVAL, EOPNOTSUPP, EPERM, isErrno, SyscallError } from "../../ffi/errno.ts";
import { AT_FDCWD } from "../../ffi/constants/fcntl.ts";
import { refuse } from "./layer_names.ts";

/** What steers the overlay file systems themselves: a layer that brings it could show files it does not have. */
const OVERLAY_XATTRS = ["trusted.overlay.", "user.overlay.", "user.fuseoverlayfs."];
/** Permissions that fuse-overlayfs reads in place of the file's own. */
const OVERRIDE_STAT = "user.containers.override_stat";
/** Belong to the machine that made the archive; umoci leaves out the same. */
const HOST_XATTRS: ReadonlySet<string> = new Set(["security.selinux", "system.nfs4_acl"]);

/** Whether an attribute is left out of what is unpacked. */
export function isHostXattr(name: string): boolean {
  return HOST_XATTRS.has(name);
}

/** What new entries of a folder inherit. @see acl(5) */
export const DEFAULT_ACL = "system.posix_acl_default";
/** XATTR_SIZE_MAX of the kernel, and what an ACL of 511 entries takes. */
const MAX_XATTR = 65536, MAX_ACL = 4096;

/** -1 means "leave as it is" to chown(2), so no archive may ask for it. */
const MAX_ID = 0xfffffffe;

export function checkIds(entry: TarEntry): void {
  if (entry.uid < 0 || entry.uid > MAX_ID || entry.gid < 0 || entry.gid > MAX_ID) {
    refuse(entry.name, `its owner ${entry.uid}:${entry.gid} is no valid id`);
  }
}

export function checkXattrs(entry: TarEntry): void {
  for (const [name, value] of entry.xattrs!) {
    if (OVERLAY_XATTRS.some((prefix) => name.startsWith(prefix)) || name === OVERRIDE_STAT) {
      refuse(entry.name, `its extended attribute ${displayName(name)} steers the overlay file system`);
    }
    if (value.length > (name === DEFAULT_ACL ? MAX_ACL : MAX_XATTR)) {
      refuse(entry.name, `its extended attribute ${displayName(name)} is too large`);
    }
    if (name.includes("\0") || name.length > 255) refuse(entry.name, "an extended attribute has a bad name");
  }
}

/** @param fd O_PATH or open; `base` empty means `fd` itself. */
export function setOwner(fd: number, base: Uint8Array<ArrayBuffer>, entry: TarEntry): void {
  try {
    fchownat(fd, base, entry.uid, entry.gid, base.length === 0 ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW);
  } catch (error) {
    if (!isErrno(error, EINVAL)) throw error;
    throw new HostError(
      `unpack layer entry "${displayName(entry.name)}": its owner ${entry.uid}:${entry.gid} is not in the ` +
        `user namespace`,
      { hint: "give the user a larger range in /etc/subuid and /etc/subgid (65536 ids serve most images)" },
    );
  }
}

export function setTimes(fd: number, base: Uint8Array<ArrayBuffer>, entry: TarEntry): void {
  const mtime = { sec: entry.mtime, nsec: entry.mtimeNs };
  let atime = mtime;
  // As containers/storage: the last access is never before the last change.
  if (
    entry.atime !== undefined &&
    (entry.atime > entry.mtime || entry.atime === entry.mtime && entry.atimeNs! > entry.mtimeNs)
  ) {
    atime = { sec: entry.atime, nsec: entry.atimeNs! };
  }
  utimensat(fd, base, atime, mtime, base.length === 0 ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW);
}

/** chmod(2) of a node that must not be opened (fifo, device), through its O_PATH descriptor. */
export function setModeOfNode(parent: number, base: Uint8Array<ArrayBuffer>, mode: number): void {
  const fd = openat(parent, base, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  try {
    // Of a symlink this fails with EOPNOTSUPP: it is the opened object that is changed, not what it points at.
    fchmodat(AT_FDCWD, `/proc/self/fd/${fd}`, mode);
  } finally {
    close(fd);
  }
}

/** Sets an entry's attributes, or those `wanted`, on an open file or folder. */
export function setXattrs(fd: number, entry: TarEntry, wanted: (name: string) => boolean = () => true): void {
  for (const [name, value] of entry.xattrs!) {
    if (!HOST_XATTRS.has(name) && wanted(name)) tolerate(() => fsetxattr(fd, bytesOf(name), value));
  }
}

/** The same for what cannot be opened: links, devices, fifos. */
export function setXattrsByName(parent: number, base: Uint8Array<ArrayBuffer>, entry: TarEntry): void {
  const prefix = new TextEncoder().encode(`/proc/self/fd/${parent}/`);
  const path = new Uint8Array(prefix.length + base.length);
  path.set(prefix);
  path.set(base, prefix.length);
  for (const [name, value] of entry.xattrs!) {
    if (!HOST_XATTRS.has(name)) tolerate(() => lsetxattr(path, bytesOf(name), value));
  }
}

/** As podman: what the file system does not keep, or the user may not set (trusted.*), is left out. */
function tolerate(set: () => void): void {
  try {
    set();
  } catch (error) {
    if (error instanceof SyscallError && (error.errno === EOPNOTSUPP || error.errno === EPERM)) return;
    throw error;
  }
}

/**
 * The built-in image `host`: a root made of this machine's own folders, shown through overlays whose upper
 * folders belong to the container, so that nothing on the host changes.
 */

import { EEXIST, EINVAL, EPERM, isErrno } from "../../ffi/errno.ts";
import {
  fchmod,
  fchownat,
  Fd,
  mkdirat,
  mknodat,
  open,
  openat,
  openat2,
  statx,
  symlinkat,
} from "../../ffi/file.ts";
import { mount } from "../../ffi/mount.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
} from "../../ffi/constants/fcntl.ts";
import { MOUNT_ATTR_RDONLY, MS_BIND, MS_RDONLY, MS_REC, MS_REMOUNT } from "../../ffi/constants/mount.ts";
import { S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT } from "../../ffi/constants/stat.ts";
import { mount_setattr } from "../../ffi/mount.ts";
import { geteuid } from "../../ffi/process.ts";
import type { HostFolder, RootfsPlan } from "../monitor/plan.ts";
import { mountOverlay } from "./overlay.ts";

type HostPlan = Extract<RootfsPlan, { kind: "host" }>;

/** Below the container's upper folder: `root` is the root itself, `folders/<n>` the upper of one folder. */
export function mountHostFolders(plan: HostPlan): void {
  ensureFolder(`${plan.upper}/root`);
  ensureFolder(`${plan.upper}/folders`);
  if (plan.owner) Deno.chownSync(`${plan.upper}/root`, plan.owner.uid, plan.owner.gid);
  mount(`${plan.upper}/root`, plan.target, null, MS_BIND);
  plan.folders.forEach((folder, index) => {
    using root = new Fd(open(plan.target, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const name = folder.path.replace(/^\/+/, "");
    if (folder.symlink !== undefined) {
      ignoreExisting(() => symlinkat(folder.symlink!, root.number, name));
    } else if (folder.fresh) {
      makeFresh(root.number, name, folder.mode ?? 0o755, plan.owner);
    } else {
      makeFresh(root.number, name, folder.mode ?? 0o755);
      showFolder(plan, folder, index);
    }
  });
}

/** Makes each missing part of `name` and gives the last one its owner and mode, sticky bit included. */
function makeFresh(root: number, name: string, mode: number, owner?: HostPlan["owner"]): void {
  let path = "";
  for (const part of name.split("/")) {
    path = path === "" ? part : `${path}/${part}`;
    using parent = new Fd(
      openat2(
        root,
        path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : ".",
        O_PATH | O_DIRECTORY | O_CLOEXEC,
        RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
      ),
    );
    try {
      mkdirat(parent.number, part, 0o755);
    } catch (error) {
      if (isErrno(error, EEXIST)) continue;
      throw error;
    }
    if (path !== name) continue;
    using made = new Fd(openat(parent.number, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (owner) fchownat(made.number, "", owner.uid, owner.gid, AT_EMPTY_PATH);
    fchmod(made.number, mode);
  }
}

function showFolder(plan: HostPlan, folder: HostFolder, index: number): void {
  const upper = `${plan.upper}/folders/${index}`;
  const work = `${plan.work}/${index}`;
  const target = `${plan.target}${folder.path}`;
  ensureFolder(upper);
  ensureFolder(work);
  // As an ordinary user the host's owners appear as nobody; a folder nobody can write is shown read-only.
  const isRootless = Deno.readTextFileSync("/proc/self/uid_map").trim().split(/\s+/)[2] !== "4294967295" ||
    geteuid() !== 0;
  try {
    for (const path of folder.hidden ?? []) hide(upper, path.slice(folder.path.length + 1));
    mountOverlay({ lower: [folder.path], upper, work, target, userxattr: isRootless });
    if (isRootless) mount(null, target, null, MS_REMOUNT | MS_BIND | MS_RDONLY);
  } catch (error) {
    // Overlay refuses a folder with mounts of the host's namespace below it, and an upper folder that is on an overlay
    // itself, as in a container, where there is no whiteout either; a bind shows it as it is.
    if (!isRootless || !isErrno(error, EINVAL, EPERM)) throw error;
    mount(folder.path, target, null, MS_BIND | MS_REC);
    for (const path of folder.hidden ?? []) cover(`${plan.upper}/empty`, `${plan.target}${path}`);
    mount_setattr(AT_FDCWD, target, AT_RECURSIVE, { set: MOUNT_ATTR_RDONLY, clear: 0 });
  }
}

/** A whiteout in the upper folder covers the host's entry. @see overlayfs.rst, whiteouts */
function hide(upper: string, path: string): void {
  const parts = path.split("/");
  const name = parts.pop()!;
  let at = upper;
  for (const part of parts) ensureFolder(at = `${at}/${part}`);
  using parent = new Fd(open(at, O_PATH | O_DIRECTORY | O_CLOEXEC));
  ignoreExisting(() => mknodat(parent.number, name, S_IFCHR, 0, 0));
}

/** Where there is no upper folder: an empty folder, or an empty file, is mounted on it. */
function cover(empty: string, path: string): void {
  ensureFolder(empty);
  using place = new Fd(open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  const target = `/proc/self/fd/${place.number}`;
  const kind = statx(place.number, "", AT_EMPTY_PATH).mode & S_IFMT;
  if (kind === S_IFLNK) return; // It shows a name only.
  if (kind === S_IFDIR) return mount(empty, target, null, MS_BIND);
  new Fd(open(`${empty}.file`, O_RDONLY | O_CREAT | O_CLOEXEC, 0o444))[Symbol.dispose]();
  mount(`${empty}.file`, target, null, MS_BIND);
}

function ensureFolder(path: string): void {
  ignoreExisting(() => mkdirat(AT_FDCWD, path, 0o755));
}

function ignoreExisting(make: () => void): void {
  try {
    make();
  } catch (error) {
    if (!isErrno(error, EEXIST)) throw error;
  }
}

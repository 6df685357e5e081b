/**
 * What the child of a COPY, ADD or WORKDIR does, from a plan that its parent made: the root is mounted in a mount
 * namespace of its own, and everything is copied by descriptors.
 *
 * @see BuildKit, solver/llbsolver/file/backend.go: docopy; unpack.go
 */

import { byteString, displayName } from "../../archive/byte_string.ts";
import { ConflictError } from "../../errors.ts";
import { EntryCopier, type Skipped } from "../../files/copy_entries.ts";
import { isArchive, unpackTar } from "../../files/tar_in.ts";
import { openWithProgram } from "../../files/unpack_program.ts";
import { type ContainerView, OpenedViews } from "../../files/view.ts";
import { readAccountFile } from "../../init/user.ts";
import type { RootfsPlan } from "../../monitor/plan.ts";
import type { Owner } from "../../rootfs/in_root.ts";
import { resolveUser } from "../../spec/passwd.ts";
import { DEFAULT_LAYER_LIMIT_BYTES } from "../../storage/layers.ts";
import { recordedOwner } from "../../storage/recorded_owners.ts";
import { Fd, lseek, openat, type Stat } from "../../../ffi/file.ts";
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOCTTY,
  O_NONBLOCK,
  O_RDONLY,
} from "../../../ffi/constants/fcntl.ts";
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../../ffi/constants/stat.ts";
import type { SelectedSource } from "../context/selection.ts";
import { openTree, type PreparedTree } from "../context/source_tree.ts";
import { type ModeChange, parseModeChange } from "./chmod.ts";
import { Owners } from "./single_owners.ts";
import { ensureFolder, findTarget, join, realPath, type TargetRoot } from "./destination.ts";

export interface CopyTaskSource {
  tree: PreparedTree;
  pattern: string;
  /** Archives are unpacked. */
  unpack: boolean;
  /** Files keep their owners; else they become root's. */
  keepsOwners: boolean;
}

export interface CopyTask {
  rootfs: RootfsPlan;
  sources: CopyTaskSource[];
  destination: string;
  chown?: string;
  chmod?: string;
  parents: boolean;
  exclude: readonly string[];
  isRootless: boolean;
  /** Every id is one; owners are written down in this file. */
  ownersFile?: string;
  /** Where names of --chown are looked up instead of in the root: the base of a COPY --link. */
  accounts?: PreparedTree & { kind: "snapshot" };
}

export interface MkdirTask extends Pick<CopyTask, "rootfs" | "ownersFile"> {
  path: string;
  user: string;
}

/** Copies; says what was left out. */
export function runCopy(task: CopyTask): Skipped {
  using views = new OpenedViews();
  const root = views.open(viewOf(task.rootfs));
  using owners = new Owners(task.ownersFile);
  const accounts = task.accounts === undefined ? root : views.open(viewOf(task.accounts.rootfs), true);
  const chown = task.chown === undefined ? undefined : resolveOwner(accounts, task.chown);
  const target: TargetRoot = { fd: root, owner: (path) => owners.of(path, chown ?? { uid: 0, gid: 0 }) };
  const chmod = task.chmod === undefined ? undefined : parseModeChange(task.chmod);
  const skipped: Skipped = { count: 0, examples: [] };
  for (const source of task.sources) {
    using tree = openTree(source.tree, views);
    for (const one of tree.select(source.pattern, task)) {
      using selected = one;
      const more = source.unpack && tryUnpack(selected, target, task, owners, chown) ||
        copyOne(selected, source, target, task, owners, chown, chmod);
      skipped.count += more.count;
      skipped.examples.push(...more.examples.slice(0, 3 - skipped.examples.length));
    }
  }
  return skipped;
}

/** WORKDIR: whatever is missing of the path is made, and belongs to the user. */
export function runMkdir({ rootfs, path, user, ownersFile }: MkdirTask): void {
  using views = new OpenedViews();
  const root = views.open(viewOf(rootfs));
  using owners = new Owners(ownersFile);
  const owner = user === "" ? { uid: 0, gid: 0 } : resolveOwner(root, user);
  new Fd(ensureFolder({ fd: root, owner: (made) => owners.of(made, owner) }, path))[Symbol.dispose]();
}

function viewOf(rootfs: RootfsPlan): ContainerView {
  return { kind: "stopped", rootfs, mounts: [] };
}

function copyOne(
  source: SelectedSource,
  { keepsOwners, tree }: CopyTaskSource,
  root: TargetRoot,
  task: CopyTask,
  owners: Owners,
  chown: Owner | undefined,
  chmod: ModeChange | undefined,
): Skipped {
  const { found } = source;
  using target = findTarget(root, task.destination, found.isFolder ? undefined : source.base);
  const name = found.isFolder ? undefined : target.name;
  const overlaid = source.attributes;
  const layers = tree.kind === "snapshot" ? tree.recorded : undefined;
  const below = (path: string) => found.isFolder ? join(source.path, path) : source.path;
  const copier = new EntryCopier({
    overwrite: false,
    refusal: (raw, isFolder) => {
      const shown = displayName(`/${join(target.path, byteString(raw))}`);
      return new ConflictError(
        isFolder
          ? `cannot copy to non-directory: ${shown}`
          : `cannot replace to directory ${shown} with file`,
      );
    },
    owner: (stat, path) => {
      const inner = path.map((part) => byteString(part)).join("/");
      const kept = () => (layers === undefined ? undefined : recordedOwner(layers, below(inner))) ?? stat;
      return owners.of(join(target.path, inner), chown ?? (keepsOwners ? kept() : { uid: 0, gid: 0 }));
    },
    adjust: (stat) => adjust({ ...stat, ...overlaid }, chmod),
    wanted: source.filter,
    makeDevices: !task.isRootless,
    skipUnreadable: false,
  });
  copier.copy(found, target.folder, name);
  return copier.skipped;
}

function adjust(stat: Stat, chmod: ModeChange | undefined): Stat {
  const type = stat.mode & S_IFMT;
  if (chmod === undefined || type === S_IFLNK) return stat;
  return { ...stat, mode: type | chmod(stat.mode & 0o7777, type === S_IFDIR) };
}

/** An archive's content goes into the folder that the destination names; undefined where it is none. */
function tryUnpack(
  { found }: SelectedSource,
  root: TargetRoot,
  task: CopyTask,
  owners: Owners,
  chown: Owner | undefined,
): Skipped | undefined {
  if ((found.stat.mode & S_IFMT) !== S_IFREG) return undefined;
  const flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  using file = new Fd(openat(AT_FDCWD, `/proc/self/fd/${found.fd}`, flags));
  if (!isArchive(file.number, openWithProgram)) return undefined;
  lseek(file.number, 0, 0);
  using folder = new Fd(ensureFolder(root, task.destination));
  const path = realPath(root.fd, folder.number);
  // a root of its own: links of the archive lead nowhere else
  using inside = new Fd(openat(folder.number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return unpackTar(file.number, inside.number, "/", {
    overwrite: true,
    owner: (ids, name) => owners.of(name === undefined ? path : join(path, name), chown ?? ids),
    makeDevices: !task.isRootless,
    openPacked: openWithProgram,
    limitBytes: DEFAULT_LAYER_LIMIT_BYTES,
  });
}

/**
 * `user[:group]`, names of the root's own accounts. A user by name brings its primary group, one by number the group
 * of the same number.
 *
 * @see Dockerfile reference, COPY --chown
 */
function resolveOwner(root: number, text: string): Owner {
  const [user = "", group] = text.split(":", 2);
  const isId = (word: string) => /^[0-9]+$/.test(word) && Number(word) <= 0x7fffffff;
  if (isId(user) && isId(group ?? user)) return { uid: Number(user), gid: Number(group ?? user) };
  const { uid, gid } = resolveUser(
    text,
    readAccountFile(root, "etc/passwd"),
    readAccountFile(root, "etc/group"),
    [],
  );
  return { uid, gid };
}

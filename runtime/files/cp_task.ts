/** What the child of `cp` does, from a plan that its parent made. */

import { S_ISGID, S_ISUID } from "../../ffi/constants/stat.ts";
import type { Stat } from "../../ffi/file.ts";
import { ConflictError } from "../errors.ts";
import { resolveUserInRoot } from "../init/user.ts";
import type { Owner } from "../rootfs/in_root.ts";
import type { NestedMaps } from "../storage/layer_copy.ts";
import { EntryCopier, type Skipped } from "./copy_entries.ts";
import { toContainerIds, toSharedIds } from "./owners.ts";
import { containerSide, describeSource, find, findDestination, HOST, type Side } from "./place.ts";
import { unpackTar } from "./tar_in.ts";
import { TarTree } from "./tar_out.ts";
import { type ContainerView, OpenedViews } from "./view.ts";

/** A container as one side of a copy. */
export interface ContainerSide {
  /** As the user named it. */
  name: string;
  view: ContainerView;
  workdir: string;
  /** Its program's user, who owns what is copied in. */
  user: string;
  /** Of a nested user namespace: its ids, numbered in the user's shared one. */
  nested?: NestedMaps;
}

export interface CopyPlan {
  /** Without a container: a path of the host, `-` is standard input. */
  from: { container?: ContainerSide; path: string };
  /** `-` is standard output. */
  to: { container?: ContainerSide; path: string };
  /** Give what is copied into a container to its user. */
  chown: boolean;
  overwrite: boolean;
  /** No file runs as its new owner, or with capabilities, for whoever calls it. */
  omitPrivileges?: boolean;
  isRootless: boolean;
  /** Every id is one. */
  isSingleId: boolean;
}

const STDIN = 0, STDOUT = 1;

/** Performs the copy; says what was left out. */
export function performCopy(plan: CopyPlan): Skipped {
  using views = new OpenedViews();
  const sideOf = (container: ContainerSide | undefined, readOnly: boolean): Side =>
    container === undefined
      ? HOST
      : containerSide(views.open(container.view, readOnly), container.name, container.workdir);
  const { from, to } = plan;
  if (from.container === undefined && from.path === "-") return copyFromStdin(plan, views);
  const fromSide = sideOf(from.container, from.container?.view !== to.container?.view);
  using found = find(fromSide, from.path);
  const source = describeSource(from.path, found, fromSide);
  if (to.container === undefined && to.path === "-") {
    const tar = new TarTree(STDOUT, { owner: (stat) => toContainerIds(stat, from.container?.nested) });
    tar.add(found, source.contentsOnly ? undefined : source.base);
    tar.finish();
    return tar.skipped;
  }
  using destination = findDestination(sideOf(to.container, false), to.path, source);
  const copier = new EntryCopier({
    overwrite: plan.overwrite,
    owner: ownerRule(plan, views),
    makeDevices: !plan.isRootless && to.container !== undefined,
    skipUnreadable: plan.isRootless && from.container !== undefined,
    ...plan.omitPrivileges && { adjust: withoutSetId, omitCapabilities: true },
  });
  copier.copy(found, destination.folder, destination.name);
  return copier.skipped;
}

function withoutSetId(stat: Stat): Stat {
  return { ...stat, mode: stat.mode & ~(S_ISUID | S_ISGID) };
}

function copyFromStdin(plan: CopyPlan, views: OpenedViews): Skipped {
  const container = plan.to.container!;
  const root = views.open(container.view);
  const side = containerSide(root, container.name, container.workdir);
  const { path } = plan.to;
  let target: string;
  try {
    using found = find(side, path);
    if (!found.isFolder) throw new Error("not a folder");
    target = path.startsWith("/") ? path : `${container.workdir}/${path}`;
  } catch (cause) {
    if (path.endsWith("/")) throw cause;
    throw new ConflictError("destination must be a directory when copying from stdin", { cause });
  }
  const owner = ownerRule(plan, views);
  return unpackTar(STDIN, root, target, { overwrite: plan.overwrite, owner, makeDevices: !plan.isRootless });
}

/** To the host: the caller. Into a container: its user, or who the source names. */
function ownerRule(plan: CopyPlan, views: OpenedViews): (ids: Owner) => Owner {
  const { container } = plan.to;
  if (container === undefined || plan.isSingleId) return () => ({ uid: 0, gid: 0 });
  if (!plan.chown) {
    const source = plan.from.container?.nested;
    return (ids) => toSharedIds(toContainerIds(ids, source), container.nested);
  }
  const user = resolveUserInRoot(views.open(container.view), container.user, []);
  const owner = toSharedIds(user, container.nested);
  return () => owner;
}

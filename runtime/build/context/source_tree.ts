/**
 * A source tree, ready to be read by a forked child: a folder of this machine, a file of ours, or layers, which the
 * child mounts in a mount namespace of its own.
 */

import { OpenedViews } from "../../files/view.ts";
import { foundAt } from "../../files/place.ts";
import { byteStringOf } from "../../archive/byte_string.ts";
import { HostError } from "../../errors.ts";
import type { RootfsPlan } from "../../monitor/plan.ts";
import { chooseDriver } from "../../storage/drivers/choose.ts";
import { layerForm, layerPath } from "../../storage/layers.ts";
import { Fd, open } from "../../../ffi/file.ts";
import { openFamilies } from "../../../ffi/libc.ts";
import { errnoText, SyscallError } from "../../../ffi/errno.ts";
import { O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_PATH } from "../../../ffi/constants/fcntl.ts";
import { S_IFMT, S_IFREG } from "../../../ffi/constants/stat.ts";
import { makeScratch } from "../scratch.ts";
import type { BuildServices } from "../services.ts";
import type { Snapshot, SourceTree } from "../step.ts";
import { excluding, TAKE_ALL, without } from "./filter.ts";
import { type SelectedSource, selectSources, type SourceRoot, type SourceSelection } from "./selection.ts";

type Storage = Pick<BuildServices, "folders" | "namespaces" | "storageDriver">;

/** Plain data for the child, kept until it has ended. */
export type PreparedTree =
  & AsyncDisposable
  & (
    | {
      kind: "folder";
      path: string;
      ignore: readonly string[];
      /** Our own data, where it lies in the folder: a path below it. */
      own?: string;
    }
    | { kind: "file"; path: string; name: string; mode: number; mtimeSec: number }
    | {
      kind: "snapshot";
      rootfs: RootfsPlan;
      ref: string;
      /** The layers, the topmost first, where owners are written down beside them. */
      recorded?: string[];
    }
  );

/** Prepares a tree; layers get the folders that their mount needs. */
export async function prepareTree(services: Storage, tree: SourceTree): Promise<PreparedTree> {
  openFamilies("mount", "namespaces", "spawn");
  const dispose = () => Promise.resolve();
  if (tree.kind === "folder") {
    return { ...tree, own: ownData(services, tree.path), [Symbol.asyncDispose]: dispose };
  }
  if (tree.kind === "file") return { ...tree, [Symbol.asyncDispose]: dispose };
  const { rootfs, dispose: remove } = await prepareSnapshot(services, tree.snapshot);
  const ref = tree.snapshot.layers.at(-1)?.diffId.slice("sha256:".length, "sha256:".length + 12) ?? "scratch";
  const form = layerForm(services.namespaces);
  const recorded = services.namespaces.maps.isSingle
    ? tree.snapshot.layers.map(({ diffId }) => layerPath(services.folders, diffId, form)).toReversed()
    : undefined;
  return { kind: "snapshot", rootfs, ref, recorded, [Symbol.asyncDispose]: remove };
}

/** A context that is a home has the store in it, which grows while it is read. */
function ownData({ folders }: Storage, path: string): string | undefined {
  const [data, top] = [Deno.realPathSync(folders.data), Deno.realPathSync(path)];
  const prefix = top === "/" ? "/" : `${top}/`;
  return data.startsWith(prefix) ? data.slice(prefix.length) : undefined;
}

/** A root on the snapshot's layers that can be written: folders and a plan, nothing is mounted yet. */
export async function prepareSnapshot(
  services: Storage,
  snapshot: Snapshot,
): Promise<{ rootfs: RootfsPlan; dispose: () => Promise<void> }> {
  const scratch = await makeScratch(services);
  try {
    const driver = await chooseDriver(services, services.storageDriver);
    const rootfs = await driver.prepare(services, {
      containerDir: scratch.path,
      layers: snapshot.layers.map(({ diffId }) => diffId).toReversed(),
      volatile: true,
    });
    return { rootfs, dispose: async () => await scratch[Symbol.asyncDispose]() };
  } catch (error) {
    await scratch[Symbol.asyncDispose]();
    throw error;
  }
}

/** A tree that the child has open. */
export interface OpenedTree extends Disposable {
  /** What the pattern names, in order. @throws {NotFoundError} */
  select(pattern: string, selection: Omit<SourceSelection, "patterns">): Iterable<SelectedSource>;
}

/** Opens it, in the child. Layers are mounted; what goes with `views` is unmounted by them. */
export function openTree(tree: PreparedTree, views: OpenedViews): OpenedTree {
  if (tree.kind === "file") return openFile(tree);
  const fd = tree.kind === "folder"
    ? openFolder(tree.path)
    : views.open({ kind: "stopped", rootfs: tree.rootfs, mounts: [] }, true);
  const root: SourceRoot = tree.kind === "folder"
    ? { fd, ignore: without(tree.own, excluding(tree.ignore)), ref: "context" }
    : { fd, ignore: TAKE_ALL, ref: tree.ref };
  return {
    select: (pattern, selection) => selectSources(root, pattern, selection),
    [Symbol.dispose]: () => {
      if (tree.kind === "folder") new Fd(fd)[Symbol.dispose]();
    },
  };
}

function openFolder(path: string): number {
  try {
    return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    throw new HostError(`open build context "${path}": ${errnoText(error.errno).toLowerCase()}`, {
      cause: error,
    });
  }
}

/** The one file, with the name, mode and time that it shall have. */
function openFile({ path, name, mode, mtimeSec }: PreparedTree & { kind: "file" }): OpenedTree {
  const found = foundAt(open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if ((found.stat.mode & S_IFMT) !== S_IFREG) throw new HostError(`open "${path}": it is no file`);
  const attributes = { mode: S_IFREG | mode, mtimeSec, mtimeNsec: 0 };
  const source: SelectedSource = {
    found: { ...found, stat: { ...found.stat, ...attributes }, [Symbol.dispose]: () => {} },
    attributes,
    path: "",
    base: byteStringOf(name),
    filter: TAKE_ALL,
    [Symbol.dispose]: () => {},
  };
  return { select: () => [source], [Symbol.dispose]: () => found[Symbol.dispose]() };
}

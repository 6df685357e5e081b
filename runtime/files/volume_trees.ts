/**
 * The content of a volume as one tree: copied, unpacked or packed by a child in the user's namespace, beside the volume
 * and never in it, so that whoever is killed leaves the volume as it was.
 *
 * ```
 *  tmp/volume-<random>/     held locked while its maker lives
 *    whole/_data            becomes volumes/<name>/_data, or a snapshot
 *  volumes/<name>/.new-volume-<random>    changes places with _data
 * ```
 * A folder that another id owns is moved to another one by root of the namespace alone; within one, by the user as well.
 */

import { close, Fd, fsync, open, renameat2, statx, syncfs } from "../../ffi/file.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  RENAME_EXCHANGE,
} from "../../ffi/constants/fcntl.ts";
import { copyTree } from "../rootfs/copy_tree.ts";
import { BESIDE_PREFIX, TREE_PREFIX } from "../storage/abandoned_tree.ts";
import { type NamespaceWorkOptions, startInNamespace } from "../storage/namespace_task.ts";
import type { StorageContext } from "../storage/layers.ts";
import { makeTree, makeWorkFolder } from "../storage/work_folder.ts";

/** A tree in the making. Disposing lets go of its lock: what is in it then is garbage. */
export interface StagedTree extends Disposable {
  /** The folder with `_data` in it, which is the user's. */
  whole: string;
  /** Where the tree is instead, beside the content that it is to replace. */
  beside?: string;
}

export interface StageOptions extends NamespaceWorkOptions {
  /** The content that it takes the place of. */
  replaces?: string;
}

/** Fills a new tree in a child; `fill` gets a descriptor of its root and runs as root of the user's namespace. */
export async function stageTree<T>(
  context: StorageContext,
  what: string,
  fill: (tree: number) => T,
  options: StageOptions = {},
): Promise<{ staged: StagedTree; result: T }> {
  using tmp = new Fd(open(context.folders.tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const { fd, name } = makeWorkFolder(tmp.number, TREE_PREFIX);
  const whole = `${context.folders.tmp}/${name}/whole`;
  const beside = options.replaces?.replace(/_data$/, `${BESIDE_PREFIX}${name}`);
  const staged = { whole, beside, [Symbol.dispose]: () => close(fd) };
  try {
    Deno.mkdirSync(whole);
    Deno.chmodSync(whole, 0o755);
    using folder = new Fd(open(whole, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const inherit = [fd, folder.number, ...options.inherit ?? []];
    const { result, ended } = await startInNamespace<{ value: T }>(context, what, (answer) => {
      using tree = new Fd(makeTree(folder.number));
      const value = fill(tree.number);
      // before any name that lasts: after a power cut a snapshot is whole or not there
      syncfs(tree.number);
      if (beside === undefined) renameat2(folder.number, "tree", folder.number, "_data");
      else renameat2(folder.number, "tree", AT_FDCWD, beside);
      answer({ value });
    }, { ...options, inherit });
    const { value } = await result.finally(() => ended);
    return { staged, result: value };
  } catch (error) {
    staged[Symbol.dispose]();
    throw error;
  }
}

/** Copies the folder at `source` with its owner and mode; on file systems that can, the blocks are shared. */
export function fillFrom(source: string): (tree: number) => void {
  return (tree) => {
    using from = new Fd(open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    copyTree(from.number, tree, { mayVanish: true });
  };
}

/** The tree and the content of the volume change places. */
export function exchangeTree({ beside }: StagedTree, content: string): void {
  renameat2(AT_FDCWD, beside!, AT_FDCWD, content, RENAME_EXCHANGE);
  // what it held is removed next
  syncFolder(content.replace(/\/_data$/, ""));
}

/** The tree gets the name that lasts, before a row says that it is there. */
export function placeTree({ whole }: StagedTree, path: string): void {
  Deno.renameSync(whole, path);
  syncFolder(path.slice(0, path.lastIndexOf("/")));
}

/** A file beside the content, which is on the disk before its folder has a name that lasts. */
export function writeBeside({ whole }: StagedTree, name: string, text: string): void {
  const path = `${whole}/${name}`;
  Deno.writeTextFileSync(path, text);
  using file = Deno.openSync(path);
  file.syncSync();
}

/** Waits until the names in a folder are on the disk. @see fsync(2) */
export function syncFolder(path: string): void {
  using folder = new Fd(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  fsync(folder.number);
}

/** By which a folder is known again; links are followed. undefined where there is none. */
export function folderIdentity(path: string): string | undefined {
  try {
    using folder = new Fd(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    const { devMajor, devMinor, ino } = statx(folder.number, "", AT_EMPTY_PATH);
    return `${devMajor}:${devMinor}:${ino}`;
  } catch {
    return undefined;
  }
}

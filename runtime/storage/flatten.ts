/** Several layers as one tree: each copied over what those below left, its whiteouts performed. */

import { close, fchownat, open } from "../../ffi/file.ts";
import { AT_EMPTY_PATH, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../../ffi/constants/fcntl.ts";
import { copyLayer, type NestedMaps, shiftId } from "./layer_copy.ts";
import type { StorageContext } from "./layers.ts";
import { runInNamespace } from "./namespace_task.ts";
import { removeTree } from "./remove_tree.ts";
import { makeTree, makeWorkFolder, publish } from "./work_folder.ts";

const OPEN_FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/**
 * Makes `<dir>/<name>` from the layers' folders, the topmost first; there whole or not at all.
 *
 * @throws {HostError} where it cannot be copied (disk full, …)
 */
export async function flattenLayers(
  context: StorageContext,
  layers: readonly string[],
  dir: string,
  name: string,
  shift?: NestedMaps,
): Promise<void> {
  await runInNamespace(context, "copy layers", () => {
    const parent = open(dir, OPEN_FOLDER);
    const work = makeWorkFolder(parent, `${name}.tmp-`);
    try {
      const tree = makeTree(work.fd);
      // a root that no layer has an entry for is root's, under the number that root has there
      if (shift) fchownat(tree, "", shiftId(shift.uid, 0), shiftId(shift.gid, 0), AT_EMPTY_PATH);
      for (const layer of layers.toReversed()) {
        const from = open(layer, OPEN_FOLDER);
        copyLayer(from, tree, { shift, marks: "apply" });
        close(from);
      }
      close(tree);
      publish(work.fd, parent, name);
    } finally {
      removeTree(parent, work.name);
      close(work.fd);
      close(parent);
    }
  });
}

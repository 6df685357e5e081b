/** What the child of `export` does. */

import type { NestedMaps } from "../storage/layer_copy.ts";
import type { Skipped } from "./copy_entries.ts";
import { toContainerIds } from "./owners.ts";
import { containerSide, find } from "./place.ts";
import { TarTree } from "./tar_out.ts";
import { type ContainerView, OpenedViews } from "./view.ts";

/** Writes the root's own files, not what is mounted below it. */
export function exportRoot(view: ContainerView, nested: NestedMaps | undefined, fd: number): Skipped {
  using views = new OpenedViews();
  // of a stopped container nothing else is mounted
  const bare: ContainerView = view.kind === "stopped" ? { ...view, mounts: [] } : view;
  using root = find(containerSide(views.open(bare, true), "", "/"), "/");
  const tar = new TarTree(fd, { owner: (stat) => toContainerIds(stat, nested), oneFilesystem: true });
  tar.add(root, undefined);
  tar.finish();
  return tar.skipped;
}

/** What the child of `export` does. */

import { Fd } from "../../ffi/file.ts";
import type { NestedMaps } from "../storage/layer_copy.ts";
import { cloneBareRoot } from "./bare_root.ts";
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
  const seen = views.open(bare, true);
  using own = view.kind === "running" ? new Fd(cloneBareRoot(seen, view.pid)) : undefined;
  using root = find(containerSide(own?.number ?? seen, "", "/"), "/");
  const tar = new TarTree(fd, { owner: (stat) => toContainerIds(stat, nested), oneFilesystem: true });
  tar.add(root, undefined);
  tar.finish();
  return tar.skipped;
}

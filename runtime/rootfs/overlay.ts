/**
 * One mount of the kernel's overlay.
 *
 * Layers are given to it as /proc/self/fd/N: names need no escaping, options stay below a page with any
 * number of layers, and what is mounted is what was opened.
 *
 * @see Documentation/filesystems/overlayfs.rst
 */

import { Fd, open } from "../../ffi/file.ts";
import { mount } from "../../ffi/mount.ts";
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts";
import type { IdMappedLayers } from "../monitor/plan.ts";
import { mapLayers } from "./mapped_layers.ts";

/** The options of one overlay mount. */
export interface OverlayMount {
  lower: readonly string[];
  /** Absent: what is shown cannot be written, and nothing is synced when it is unmounted. */
  upper?: string;
  work?: string;
  target: string;
  userxattr: boolean;
  volatile?: boolean;
  flags?: number;
  idMapped?: IdMappedLayers;
}

/** Mounts a kernel overlay. */
export function mountOverlay(plan: OverlayMount): void {
  using opened = new DisposableStack();
  const named = (fd: number) => `/proc/self/fd/${fd}`;
  const folder = (path: string) =>
    named(opened.use(new Fd(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC))).number);
  const { idMapped, lower } = plan;
  const layers = lower.slice(0, idMapped?.from ?? lower.length).map(folder);
  if (idMapped) layers.push(...mapLayers(lower.slice(idMapped.from), idMapped, opened).map(named));
  const options = [`lowerdir=${layers.join(":")}`];
  if (plan.upper !== undefined) options.push(`upperdir=${folder(plan.upper)}`);
  if (plan.work !== undefined) options.push(`workdir=${folder(plan.work)}`);
  if (plan.userxattr) options.push("userxattr");
  if (plan.volatile) options.push("volatile");
  mount("overlay", plan.target, "overlay", plan.flags ?? 0, options.join(","));
}

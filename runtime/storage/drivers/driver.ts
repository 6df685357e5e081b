/** What a storage driver is: it plans a container's root from layers, as data that `rootfs` performs. */

import type { LazyLower, RootfsPlan } from "../../monitor/plan.ts";
import type { Digest } from "../../spec/digest.ts";
import type { NestedMaps } from "../layer_copy.ts";
import type { StorageContext } from "../layers.ts";

export type DriverName = "overlay" | "fuse-overlayfs" | "vfs";

/** What a container needs a root for. */
export interface RootRequest {
  /** `containers/<id>`; the driver's folders go below it. */
  containerDir: string;
  /** Diff ids, the topmost first. */
  layers: readonly Digest[];
  /** `--userns keep-id` or `nomap`: ids inside, numbered in the user's shared namespace. */
  nested?: NestedMaps;
  /** Layers that another process serves; the kernel's overlay alone knows them. */
  lazy?: LazyLayers;
  /** The container goes with its end (`--rm`): nothing of it needs to outlive a power loss. */
  volatile?: boolean;
}

/** What of the layers is not here yet. */
export interface LazyLayers {
  lower: LazyLower;
  /** By diff id: the folder in the mount, and the mode of its root where it has one. */
  folders: ReadonlyMap<Digest, { path: string; rootMode?: number }>;
}

export interface StorageDriver {
  readonly name: DriverName;
  /** Tries it for real; gives null, or why it cannot be used here as a sentence's end. */
  probe(context: StorageContext): Promise<string | null>;
  /** Makes the container's folders and what of the layers is missing. May be called again for the same container. */
  prepare(context: StorageContext, request: RootRequest): Promise<RootfsPlan>;
}

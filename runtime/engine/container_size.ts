/** What containers have written, and what that is with their images: `ps --size`, `inspect --size`. */

import { findImage } from "../state/images.ts";
import { treeSizes } from "../storage/tree_sizes.ts";
import type { Engine } from "./engine.ts";

/** Bytes, with podman's keys. */
export interface ContainerSize {
  /** With the image's files. */
  rootFsSize: number;
  /** What it has written itself. */
  rwSize: number;
}

/** In the order of `containers`; one child looks into all of them. */
export async function containerSizes(
  engine: Engine,
  containers: readonly { Id: string; ImageID: string }[],
): Promise<ContainerSize[]> {
  const db = await engine.database();
  // the upper folder of an overlay, or the copy that vfs makes, which holds the image's files, too
  const parts = ["upper", "rootfs"];
  const sizes = await treeSizes(
    engine,
    containers.flatMap(({ Id }) => parts.map((part) => `${engine.containerDir(Id)}/${part}`)),
  );
  return containers.map(({ ImageID }, index) => {
    const imageSize = ImageID === "" ? 0 : findImage(db, ImageID)?.size ?? 0;
    const [upper = 0, copy = 0] = sizes.slice(index * 2);
    const rwSize = upper + Math.max(0, copy - imageSize);
    return { rwSize, rootFsSize: imageSize + rwSize };
  });
}

/** `prune` of all kinds at once, for programs: they choose by kind, the command line by filter. */

import { pruneContainers } from "./container_prune.ts";
import type { Engine } from "./engine.ts";
import { images } from "./images.ts";
import { ps } from "./ps.ts";
import { removeUnusedImages, removeUnusedVolumes } from "./system_prune.ts";
import { volumes } from "./volumes.ts";

export interface PruneOptions {
  /** Those that do not run, and pods. */
  containers?: boolean;
  /** Those without a name, or with `all` those that no container uses. */
  images?: boolean | "all";
  /** Those that no container uses. */
  volumes?: boolean;
  /** Those that no container is on. */
  networks?: boolean;
  /** What builds have kept and no image shares, or with `all` all that no build uses just now. */
  buildCache?: boolean | "all";
}

/** Ids of what is gone; of volumes and networks their names. */
export interface Pruned {
  pods: string[];
  containers: string[];
  images: string[];
  volumes: string[];
  networks: string[];
  buildCache: string[];
}

export async function prune(engine: Engine, options: PruneOptions): Promise<Pruned> {
  // containers first: they hold images and volumes
  const pods = options.containers
    ? await Array.fromAsync((await import("./pods/rm.ts")).podPrune(engine))
    : [];
  const stopped = options.containers
    ? await Array.fromAsync(pruneContainers(engine, await ps(engine, { all: true })))
    : [];
  const unusedImages = (options.images ? await images(engine) : [])
    .filter(({ Containers, Dangling }) => Containers === 0 && (options.images === "all" || Dangling));
  const unusedVolumes = (options.volumes ? await volumes(engine) : []).filter(({ Containers }) =>
    Containers.length === 0
  );
  return {
    pods,
    containers: stopped,
    networks: options.networks ? await (await import("./network_rm.ts")).networkPrune(engine) : [],
    images: unusedImages.length > 0 ? await removeUnusedImages(engine, unusedImages.map(({ Id }) => Id)) : [],
    volumes: unusedVolumes.length > 0
      ? await removeUnusedVolumes(engine, unusedVolumes.map(({ Name }) => Name))
      : [],
    // last: what an image that is gone has shared is the cache's alone
    buildCache: options.buildCache ? await pruneBuildCache(engine, options.buildCache === "all") : [],
  };
}

async function pruneBuildCache(engine: Engine, all: boolean): Promise<string[]> {
  const { buildPrune } = await import("./build_prune.ts");
  const { removed } = await buildPrune(engine, { all });
  return removed.map(({ ID }) => ID);
}

/** @see podman-system-prune(1) */

import { buildPrune, type BuildPruneOptions } from "../../runtime/engine/build_prune.ts";
import { pruneContainers } from "../../runtime/engine/container_prune.ts";
import { images } from "../../runtime/engine/images.ts";
import { removeUnusedNetworks, unusedNetworks } from "../../runtime/engine/network_rm.ts";
import { networks } from "../../runtime/engine/networks.ts";
import { pods } from "../../runtime/engine/pods/list.ts";
import { podPrune } from "../../runtime/engine/pods/rm.ts";
import { ps } from "../../runtime/engine/ps.ts";
import { totalUsage } from "../../runtime/engine/system_df.ts";
import { removeUnusedImages, removeUnusedVolumes } from "../../runtime/engine/system_prune.ts";
import type { Engine } from "../../runtime/engine/engine.ts";
import { listVolumes, listVolumeUses } from "../../runtime/state/volumes.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { filterContainers, hasLabel } from "../filters/containers.ts";
import { filterImages } from "../filters/images.ts";
import { filterNetworks, PRUNE_KEYS } from "../filters/networks.ts";
import { filterPods } from "../filters/pods.ts";
import { humanSize } from "../output/humanize.ts";
import { parseFilters } from "../output/list.ts";
import { parseTime } from "../output/time_argument.ts";
import { print, printWarnings } from "../output/print.ts";
import { confirmed } from "../terminal/confirm.ts";

const KEYS = ["until", "label", "label!"];

export const command = defineCommand({
  usage: "[options]",
  description:
    "Removes the containers and pods that do not run, the networks that none is on, and the images without a name\n" +
    "that no container uses, and the build cache that no image shares; with --all every image that no\n" +
    "container uses and all build cache, with --volumes the volumes that no container uses.",
  examples: [
    "skiff system prune",
    "skiff system prune --all --force",
    "skiff system prune --volumes --filter until=24h",
  ],
  flags: {
    all: { kind: "bool", short: "a", help: "Also images that have a name" },
    filter: { kind: "array", value: "KEY=VALUE", help: "Only what matches: until, label, label!" },
    force: { kind: "bool", short: "f", help: "Do not ask" },
    volumes: { kind: "bool", help: "Also volumes" },
    // every command removes what others have left behind, builds as well
    build: { kind: "bool", help: "Of podman: containers of builds that were killed", hidden: true },
    external: { kind: "bool", help: "Of podman: what has no row", hidden: true },
  },
  arity: { max: 0 },
  async run({ options: { all, filter, force, volumes }, global }) {
    parseFilters(filter, KEYS);
    if (!force && !confirmed(warning(all, volumes))) return;
    const engine = engineFor(global);
    const before = await totalUsage(engine);
    const idle = filterPods(await pods(engine), filter).map(({ Id }) => Id);
    printDeleted("Pods", await Array.fromAsync(podPrune(engine, idle)));
    const containers = filterContainers(await ps(engine, { all: true }), filter);
    printDeleted("Containers", await Array.fromAsync(pruneContainers(engine, containers)));
    const left = unusedNetworks(filterNetworks(await networks(engine), filter, PRUNE_KEYS));
    printDeleted("Networks", await removeUnusedNetworks(engine, left.map(({ Name }) => Name)));
    if (volumes) {
      const unused = await unusedVolumes(engine, filter);
      const removed = await removeUnusedVolumes(engine, unused, (error) => {
        printWarnings([(error as Error).message]);
      });
      printDeleted("Volumes", removed);
    }
    const unused = filterImages(await images(engine), filter)
      .filter(({ Containers, Dangling }) => Containers === 0 && (all || Dangling));
    printDeleted("Images", await removeUnusedImages(engine, unused.map(({ Id }) => Id)));
    const { removed } = await buildPrune(engine, cacheFilter(all, filter));
    printDeleted("Build Cache", removed.map(({ ID }) => ID));
    print(`Total reclaimed space: ${humanSize(Math.max(0, before - await totalUsage(engine)), 4)}\n`);
  },
});

/** As podman words it. */
function warning(all: boolean, volumes: boolean): string {
  const lines = [
    "all stopped containers",
    "all networks not used by at least one container",
    ...(volumes ? ["all volumes not used by at least one container"] : []),
    all ? "all images without at least one container associated with them" : "all dangling images",
    all ? "all build cache" : "all dangling build cache",
  ];
  return `WARNING! This command removes:\n${lines.map((line) => `\t- ${line}\n`).join("")}`;
}

/** The build cache has no labels: with a filter by label nothing of it goes. */
function cacheFilter(all: boolean, filters: readonly string[]): BuildPruneOptions {
  const tests = parseFilters(filters, KEYS);
  const times = tests.flatMap(({ key, value }) =>
    key === "until" ? [parseTime(value, "filter until", Date.now())] : []
  );
  return {
    all,
    ...(times.length > 0 && { unusedSince: Math.min(...times) }),
    ...(tests.length > times.length && { ids: [] }),
  };
}

function printDeleted(what: string, names: readonly string[]): void {
  if (names.length > 0) print(`Deleted ${what}\n${names.map((name) => `${name}\n`).join("")}`);
}

async function unusedVolumes(engine: Engine, filters: readonly string[]): Promise<string[]> {
  const db = await engine.database();
  const used = new Set(listVolumeUses(db).map(({ volume }) => volume));
  const tests = parseFilters(filters, KEYS);
  return listVolumes(db).filter(({ name, labels, createdAt }) =>
    !used.has(name) &&
    tests.every(({ key, negated, value }) =>
      key === "until"
        ? Date.parse(createdAt) < parseTime(value, "filter until", Date.now())
        : hasLabel(labels, value) !== negated
    )
  ).map(({ name }) => name);
}

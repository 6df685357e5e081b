/** @see podman-container-prune(1) */

import { pruneContainers } from "../../runtime/engine/container_prune.ts";
import { ps } from "../../runtime/engine/ps.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { filterContainers } from "../filters/containers.ts";
import { parseFilters } from "../output/list.ts";
import { print } from "../output/print.ts";
import { confirmed } from "../terminal/confirm.ts";

const KEYS = ["until", "label", "label!"];

export const command = defineCommand({
  usage: "[options]",
  description: "Removes all containers that do not run, and prints their ids.",
  examples: ["skiff container prune --force", "skiff container prune --filter until=24h --filter label=ci"],
  flags: {
    filter: { kind: "list", value: "KEY=VALUE", help: "Only those that match: until, label, label!" },
    force: { kind: "bool", short: "f", help: "Do not ask" },
  },
  arity: { max: 0 },
  async run({ options, global }) {
    parseFilters(options.filter, KEYS);
    if (!options.force && !confirmed("WARNING! This will remove all non running containers.")) return;
    const engine = engineFor(global);
    const chosen = filterContainers(await ps(engine, { all: true }), options.filter);
    for await (const id of pruneContainers(engine, chosen)) print(`${id}\n`);
  },
});

/** @see podman-network-reload(1) */

import { networkReload } from "../../runtime/engine/network_connect.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";
import { LATEST } from "../flags/selection.ts";
import { selectContainers } from "../selection.ts";

export const command = defineCommand({
  usage: "[options] [CONTAINER...]",
  description: "Makes interfaces, routes and names of running containers again, as they are to be.",
  examples: ["skiff network reload web", "skiff network reload --all"],
  flags: {
    all: { kind: "bool", short: "a", help: "All containers that run" },
    ...LATEST,
  },
  async run({ options: { all, latest }, args, global }) {
    const engine = engineFor(global);
    const targets = await selectContainers(engine, { args, all, latest, onlyRunning: true });
    return await forEach(targets, async (name) => await networkReload(engine, name));
  },
});

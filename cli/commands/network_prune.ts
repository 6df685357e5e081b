/** @see podman-network-prune(1) */

import { removeUnusedNetworks, unusedNetworks } from "../../runtime/engine/network_rm.ts";
import { networks } from "../../runtime/engine/networks.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { filterNetworks, PRUNE_KEYS } from "../filters/networks.ts";
import { print } from "../output/print.ts";
import { confirmed } from "../terminal/confirm.ts";

const WARNING = "WARNING! This will remove all networks not used by at least one container.";

export const command = defineCommand({
  usage: "[options]",
  description: "Removes all networks that no container is on, running or not, and prints their names.",
  examples: ["skiff network prune --force", "skiff network prune --filter until=24h --filter label!=keep"],
  flags: {
    filter: { kind: "array", value: "KEY=VALUE", help: "Only those that match: label, label!, until" },
    force: { kind: "bool", short: "f", help: "Do not ask" },
  },
  arity: { max: 0 },
  async run({ options: { filter, force }, global }) {
    if (!force && !confirmed(WARNING)) return;
    const engine = engineFor(global);
    const unused = unusedNetworks(filterNetworks(await networks(engine), filter, PRUNE_KEYS));
    for (const name of await removeUnusedNetworks(engine, unused.map(({ Name }) => Name))) print(`${name}\n`);
  },
});

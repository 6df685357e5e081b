/** @see podman-volume-prune(1) */

import { removeUnusedVolumes } from "../../runtime/engine/system_prune.ts";
import { volumes } from "../../runtime/engine/volumes.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { filterVolumes, PRUNE_KEYS } from "../filters/volumes.ts";
import { escapeLines } from "../output/escape.ts";
import { print, printError } from "../output/print.ts";
import { renderError } from "../render_error.ts";
import { confirmed } from "../terminal/confirm.ts";

const WARNING =
  "WARNING! This will remove all volumes not used by at least one container. The following volumes will be removed:";

export const command = defineCommand({
  usage: "[options]",
  description: "Removes all volumes that no container uses, and prints their names.",
  examples: ["skiff volume prune --force", "skiff volume prune --filter until=24h --filter label!=keep"],
  flags: {
    all: {
      kind: "bool",
      short: "a",
      hidden: true,
      help: "docker's: volumes with a name as well, which is the rule here",
    },
    filter: { kind: "list", value: "KEY=VALUE", help: "Only those that match, as of volume ls" },
    force: { kind: "bool", short: "f", help: "Do not ask" },
  },
  arity: { max: 0 },
  async run({ options: { filter, force }, global }) {
    const engine = engineFor(global);
    const unused = filterVolumes(await volumes(engine), filter, PRUNE_KEYS)
      .filter(({ Containers }) => Containers.length === 0).map(({ Name }) => Name);
    if (!force) {
      if (unused.length === 0) return print(`${WARNING}\nNo dangling volumes found\n`);
      if (!confirmed(`${WARNING}\n\n${escapeLines(unused.join("\n"))}`)) return;
    }
    const failures: unknown[] = [];
    const removed = await removeUnusedVolumes(engine, unused, (error) => failures.push(error));
    print(removed.map((name) => `${name}\n`).join(""));
    for (const error of failures) printError(renderError(error, false).text);
    return failures.length > 0 ? 125 : 0;
  },
});

/** @see podman-unpause(1) */

import { unpause } from "../../runtime/engine/pause.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";
import { CIDFILE, FILTER, LATEST } from "../flags/selection.ts";
import { selectContainers } from "../selection.ts";

export const command = defineCommand({
  usage: "[options] CONTAINER [CONTAINER...]",
  examples: ["skiff unpause web", "skiff unpause --all"],
  flags: {
    all: { kind: "bool", short: "a", help: "Unpause all paused containers" },
    ...CIDFILE,
    ...FILTER,
    ...LATEST,
  },
  async run({ options, args, global }) {
    const engine = engineFor(global);
    const filter = options.all ? [...options.filter, "status=paused"] : options.filter;
    const targets = await selectContainers(engine, { ...options, args, filter });
    return await forEach(targets, async (name) => {
      await unpause(engine, name);
      return name;
    });
  },
});

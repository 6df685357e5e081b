/** @see podman-pause(1) */

import { pause } from "../../runtime/engine/pause.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";
import { CIDFILE, FILTER, LATEST } from "../flags/selection.ts";
import { printWarnings } from "../output/print.ts";
import { selectContainers } from "../selection.ts";

export const command = defineCommand({
  usage: "[options] CONTAINER [CONTAINER...]",
  description:
    "Holds all processes still: by the freezer of cgroups where there is one for the user, else by SIGSTOP.",
  examples: ["skiff pause web", "skiff pause --all"],
  flags: {
    all: { kind: "bool", short: "a", help: "Pause all running containers" },
    ...CIDFILE,
    ...FILTER,
    ...LATEST,
  },
  async run({ options, args, global }) {
    const engine = engineFor(global);
    const filter = options.all ? [...options.filter, "status=running"] : options.filter;
    const targets = await selectContainers(engine, { ...options, args, filter });
    return await forEach(targets, async (name) => {
      const { warning } = await pause(engine, name);
      if (warning) printWarnings([warning]);
      return name;
    });
  },
});

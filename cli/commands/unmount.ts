/** @see podman-unmount(1) */

import { listMounts, unmountContainer } from "../../runtime/engine/mount.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";
import { LATEST } from "../flags/selection.ts";
import { selectContainers } from "../selection.ts";

export const command = defineCommand({
  usage: "[options] CONTAINER [CONTAINER...]",
  description: "Takes away what `skiff mount` has mounted, and prints the names.",
  examples: ["skiff unmount web", "skiff unmount --all"],
  flags: {
    all: { kind: "bool", short: "a", help: "All that are mounted" },
    force: { kind: "bool", short: "f", help: "Also where something works in it still" },
    ...LATEST,
  },
  async run({ options: { all, force, latest }, args, global }) {
    const engine = engineFor(global);
    const targets = all && args.length === 0
      ? (await listMounts(engine)).map(({ id }) => id)
      : await selectContainers(engine, { args, latest, all });
    return await forEach(targets, async (name) => {
      await unmountContainer(engine, name, force);
      return name;
    });
  },
});

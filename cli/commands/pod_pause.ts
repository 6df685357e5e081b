/** @see podman-pod-pause(1) */

import { podPause } from "../../runtime/engine/pods/change.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";
import { printWarnings } from "../output/print.ts";
import { LATEST_POD, selectPods } from "../pod_selection.ts";

export const command = defineCommand({
  usage: "[options] POD [POD...]",
  description: "Holds still all containers of pods that run.",
  examples: ["skiff pod pause web", "skiff pod pause --all"],
  flags: {
    all: { kind: "bool", short: "a", help: "Pause all pods" },
    ...LATEST_POD,
  },
  async run({ options, args, global }) {
    const engine = engineFor(global);
    const targets = await selectPods(engine, { ...options, args });
    return await forEach(targets, async (name) => {
      const { id, warning } = await podPause(engine, name);
      if (warning !== undefined) printWarnings([warning]);
      return id;
    });
  },
});

/** @see podman-pod-unpause(1) */

import { podUnpause } from "../../runtime/engine/pods/change.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";
import { LATEST_POD, selectPods } from "../pod_selection.ts";

export const command = defineCommand({
  usage: "[options] POD [POD...]",
  description: "Lets the paused containers of pods go on, and prints the ids of pods that had any.",
  examples: ["skiff pod unpause web", "skiff pod unpause --all"],
  flags: {
    all: { kind: "bool", short: "a", help: "Unpause all pods" },
    ...LATEST_POD,
  },
  async run({ options, args, global }) {
    const engine = engineFor(global);
    const targets = await selectPods(engine, { ...options, args });
    return await forEach(targets, (name) => podUnpause(engine, name));
  },
});

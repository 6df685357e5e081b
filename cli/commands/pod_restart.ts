/** @see podman-pod-restart(1) */

import { podRestart } from "../../runtime/engine/pods/change.ts";
import { defineCommand } from "../command.ts";
import { forEachInTurn } from "../each.ts";
import { engineFor } from "../engine.ts";
import { LATEST_POD, selectPods } from "../pod_selection.ts";

export const command = defineCommand({
  usage: "[options] POD [POD...]",
  description: "Stops the containers of pods where they run, and starts all of them.",
  examples: ["skiff pod restart web", "skiff pod restart --latest"],
  flags: {
    all: { kind: "bool", short: "a", help: "Restart all pods" },
    ...LATEST_POD,
  },
  async run({ options, args, global }) {
    const engine = engineFor(global);
    const targets = await selectPods(engine, { ...options, args });
    return await forEachInTurn(targets, (name) => podRestart(engine, name));
  },
});

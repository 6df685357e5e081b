/** @see podman-pod-start(1) */

import { podStart } from "../../runtime/engine/pods/change.ts";
import { defineCommand } from "../command.ts";
import { forEachInTurn } from "../each.ts";
import { engineFor } from "../engine.ts";
import { LATEST_POD, POD_ID_FILE, selectPods } from "../pod_selection.ts";

export const command = defineCommand({
  usage: "[options] POD [POD...]",
  examples: ["skiff pod start web", "skiff pod start --all"],
  flags: {
    all: { kind: "bool", short: "a", help: "Start all pods" },
    ...LATEST_POD,
    ...POD_ID_FILE,
  },
  async run({ options, args, global }) {
    const engine = engineFor(global);
    const targets = await selectPods(engine, { ...options, args });
    return await forEachInTurn(targets, (name) => podStart(engine, name));
  },
});

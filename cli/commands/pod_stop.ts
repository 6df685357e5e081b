/** @see podman-pod-stop(1) */

import { podStop } from "../../runtime/engine/pods/change.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";
import { TIME } from "../flags/selection.ts";
import { LATEST_POD, POD_ID_FILE, selectPods } from "../pod_selection.ts";

export const command = defineCommand({
  usage: "[options] POD [POD...]",
  description: "Stops all containers of pods, and with the last of them what they share.",
  examples: ["skiff pod stop web", "skiff pod stop --time 2 --all"],
  flags: {
    all: { kind: "bool", short: "a", help: "Stop all pods" },
    ignore: { kind: "bool", short: "i", help: "A pod that does not exist is no error" },
    ...LATEST_POD,
    ...POD_ID_FILE,
    ...TIME,
  },
  async run({ options, args, global }) {
    const engine = engineFor(global);
    const targets = await selectPods(engine, { ...options, args });
    const how = { timeoutSeconds: options.time, ignore: options.ignore };
    return await forEach(targets, (name) => podStop(engine, name, how));
  },
});

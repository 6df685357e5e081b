/** @see podman-pod-kill(1) */

import { podKill } from "../../runtime/engine/pods/change.ts";
import { parseSignal } from "../../runtime/spec/signal.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";
import { SIGNAL } from "../flags/selection.ts";
import { LATEST_POD, selectPods } from "../pod_selection.ts";

export const command = defineCommand({
  usage: "[options] POD [POD...]",
  examples: ["skiff pod kill web", "skiff pod kill --signal HUP web"],
  flags: {
    all: { kind: "bool", short: "a", help: "Signal the containers of all pods" },
    ...LATEST_POD,
    ...SIGNAL,
  },
  async run({ options, args, global }) {
    const signal = options.signal ?? "KILL";
    parseSignal(signal);
    const engine = engineFor(global);
    const targets = await selectPods(engine, { ...options, args });
    return await forEach(targets, (name) => podKill(engine, name, signal));
  },
});

/** @see podman-stop(1) */

import { stop } from "../../runtime/engine/stop.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";
import { CIDFILE, FILTER, IGNORE, LATEST, STOP_SIGNAL, TIME } from "../flags/selection.ts";
import { selectContainers } from "../selection.ts";

export const command = defineCommand({
  usage: "[options] CONTAINER [CONTAINER...]",
  description: "Sends the container's stop signal, and SIGKILL after a while.",
  examples: ["skiff stop web", "skiff stop --time 2 web db", "skiff stop --all"],
  flags: {
    all: { kind: "bool", short: "a", help: "Stop all running containers" },
    ...CIDFILE,
    ...FILTER,
    ...IGNORE,
    ...LATEST,
    ...STOP_SIGNAL,
    ...TIME,
  },
  async run({ options, args, global }) {
    const engine = engineFor(global);
    const targets = await selectContainers(engine, { ...options, args, onlyRunning: true });
    return await forEach(targets, async (name) => {
      const { time: timeoutSeconds, ignore, signal: stopSignal } = options;
      const stopped = await stop(engine, name, { timeoutSeconds, ignore, stopSignal });
      return stopped !== undefined ? name : undefined;
    });
  },
});

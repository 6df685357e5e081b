/** @see podman-kill(1) */

import { kill } from "../../runtime/engine/kill.ts";
import { parseSignal } from "../../runtime/spec/signal.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";
import { CIDFILE, LATEST, SIGNAL } from "../flags/selection.ts";
import { selectContainers } from "../selection.ts";

export const command = defineCommand({
  usage: "[options] CONTAINER [CONTAINER...]",
  examples: ["skiff kill web", "skiff kill --signal HUP web"],
  flags: {
    all: { kind: "bool", short: "a", help: "Signal all running containers" },
    ...CIDFILE,
    ...LATEST,
    ...SIGNAL,
  },
  async run({ options, args, global }) {
    const signal = options.signal ?? "KILL";
    parseSignal(signal);
    const engine = engineFor(global);
    const targets = await selectContainers(engine, { ...options, args, onlyRunning: true });
    return await forEach(targets, async (name) => {
      await kill(engine, name, signal);
      return name;
    });
  },
});

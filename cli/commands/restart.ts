/** @see podman-restart(1) */

import { restart } from "../../runtime/engine/restart.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";
import { CIDFILE, FILTER, LATEST, STOP_SIGNAL, TIME } from "../flags/selection.ts";
import { selectContainers } from "../selection.ts";

export const command = defineCommand({
  usage: "[options] CONTAINER [CONTAINER...]",
  description: "Stops containers that run, as `skiff stop` does, and starts them; others are only started.",
  examples: ["skiff restart web", "skiff restart --time 2 web db", "skiff restart --all --running"],
  flags: {
    all: { kind: "bool", short: "a", help: "Restart all containers" },
    ...CIDFILE,
    ...FILTER,
    ...LATEST,
    ...STOP_SIGNAL,
    running: { kind: "bool", help: "Restart all containers that run" },
    ...TIME,
  },
  async run({ options, args, global }) {
    const engine = engineFor(global);
    const all = options.all || options.running;
    const targets = await selectContainers(engine, { ...options, args, all, onlyRunning: options.running });
    let code = 0;
    // One after another: each start forks, and a fork wants this process at rest.
    for (const name of targets) {
      code = Math.max(
        code,
        await forEach([name], async () => {
          await restart(engine, name, { timeoutSeconds: options.time, stopSignal: options.signal });
          return name;
        }),
      );
    }
    return code;
  },
});

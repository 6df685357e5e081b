/** @see podman-healthcheck-run(1) */

import { runHealthcheck } from "../../runtime/engine/healthcheck.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "CONTAINER",
  description: "Exits with 0 if the check succeeds, with 1 if it fails.",
  examples: ["skiff healthcheck run web"],
  flags: {},
  arity: { min: 1, max: 1 },
  async run({ args, global }) {
    const { exitCode } = await runHealthcheck(engineFor(global), args[0]!);
    if (exitCode === 0) return 0;
    print("unhealthy\n");
    return 1;
  },
});

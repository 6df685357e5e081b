/** @see podman-pod-prune(1) */

import { podPrune } from "../../runtime/engine/pods/rm.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { print } from "../output/print.ts";
import { confirmed } from "../terminal/confirm.ts";

export const command = defineCommand({
  usage: "[options]",
  description: "Removes all pods whose containers have ended, and prints their ids.",
  examples: ["skiff pod prune --force"],
  flags: { force: { kind: "bool", short: "f", help: "Do not ask" } },
  arity: { max: 0 },
  async run({ options, global }) {
    if (!options.force && !confirmed("WARNING! This will remove all stopped/exited pods..")) return;
    for await (const id of podPrune(engineFor(global))) print(`${id}\n`);
  },
});

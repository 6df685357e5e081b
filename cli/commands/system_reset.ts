/** @see podman-system-reset(1) */

import { systemReset } from "../../runtime/engine/system_reset.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { confirmed } from "../terminal/confirm.ts";

export const command = defineCommand({
  usage: "[options]",
  description:
    "Ends and removes all containers, and removes all images, volumes and settings of skiff: its data\n" +
    "folder and its runtime folder. It works where they are damaged, too.",
  examples: ["skiff system reset", "skiff system reset --force"],
  flags: { force: { kind: "bool", short: "f", help: "Do not ask" } },
  arity: { max: 0 },
  async run({ options: { force }, global }) {
    const engine = engineFor(global);
    const { data, run } = engine.folders;
    const lines = [
      "all containers",
      "all images",
      "all volumes",
      `the data folder: "${data}"`,
      `the runtime folder: "${run}"`,
    ];
    const text = `WARNING! This will remove:\n${lines.map((line) => `        - ${line}`).join("\n")}`;
    if (!force && !confirmed(text)) return;
    await systemReset(engine);
  },
});

/** @see podman-pod-clone(1) */

import { podClone } from "../../runtime/engine/pods/clone.ts";
import { callerFacts } from "../caller.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { POD_FLAGS, podOptions } from "../flags/pod.ts";
import { print, printWarnings } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options] POD [NAME]",
  description:
    "Makes another pod with the same options, and clones of its containers, and prints its id. What the containers\n" +
    "have written into their own files is not copied.",
  examples: ["skiff pod clone web", "skiff pod clone --destroy --start web web2"],
  flags: {
    ...POD_FLAGS,
    destroy: { kind: "bool", help: "Remove the original" },
    name: { kind: "string", short: "n", value: "NAME", help: "Name of the clone (default POD-clone)" },
    start: { kind: "bool", help: "Start the clone" },
  },
  arity: { min: 1, max: 2, message: undefined },
  async run({ options, given, args, global }) {
    const { destroy, start } = options;
    const { id, warnings } = await podClone(engineFor(global), args[0]!, {
      ...podOptions(options, given, callerFacts()),
      name: args[1] ?? options.name,
      destroy,
      start,
    });
    printWarnings(warnings);
    print(`${id}\n`);
  },
});

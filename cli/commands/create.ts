/** @see podman-create(1) */

import { create } from "../../runtime/engine/create.ts";
import { callerFacts } from "../caller.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { CREATE_FLAGS, toCreateOptions } from "../flags/create.ts";
import { print, printWarnings } from "../output/print.ts";
import { PullWatch } from "../terminal/pull_watch.ts";

export const command = defineCommand({
  usage: "[options] IMAGE [COMMAND [ARG...]]",
  description: "Prints the id of the new container. `skiff start` starts it.",
  examples: ["skiff create --name web -v www:/www docker.io/library/nginx", "skiff create -it debian bash"],
  flags: {
    ...CREATE_FLAGS,
    "init-ctr": {
      kind: "string",
      value: "WHEN",
      help: "Run it to its end when its pod starts, before the others: always, or once (then it is removed)",
    },
  },
  optionsFirst: true,
  arity: { min: 1 },
  async run({ options, given, args, global }) {
    const asked = toCreateOptions(options, given, args, callerFacts());
    asked.initContainer = options["init-ctr"];
    const watch = new PullWatch(options.quiet);
    const { id, warnings } = await watch.during(() => create(engineFor(global), asked, watch));
    printWarnings(warnings);
    print(`${id}\n`);
  },
});

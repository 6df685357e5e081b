/** @see podman-unshare(1) */

import { unshare } from "../../runtime/engine/unshare.ts";
import { UnsupportedError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";

export const command = defineCommand({
  usage: "[options] [COMMAND [ARG...]]",
  description:
    "Runs a command, by default $SHELL, as root of the user namespace of your containers: there their files " +
    "have the owners that the containers see, and `skiff mount` works. Exits with the command's code; 126 and 127 " +
    "where it cannot be run or found.",
  examples: [
    "skiff unshare",
    "skiff unshare cat /proc/self/uid_map",
    "skiff unshare sh -c 'ls -ln $(skiff mount web)'",
  ],
  flags: {
    "rootless-netns": {
      kind: "bool",
      help: "Not available: each container has a network namespace of its own",
    },
  },
  optionsFirst: true,
  async run({ options, args, global }) {
    if (options["rootless-netns"]) {
      throw new UnsupportedError(
        "--rootless-netns is not available: each container has a network namespace of its own",
      );
    }
    const argv = args.length > 0 ? args : [Deno.env.get("SHELL") || "/bin/sh"];
    return await unshare(engineFor(global), argv, Deno.env.toObject());
  },
});

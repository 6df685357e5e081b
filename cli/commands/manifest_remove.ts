/** @see podman-manifest-remove(1) */

import { manifestRemove } from "../../runtime/engine/manifest_annotate.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "LIST DIGEST",
  description: "Takes an image out of a list; it stays in the store. Prints the list's id.",
  examples: ["skiff manifest remove app:1 sha256:…"],
  flags: {},
  arity: { min: 2, max: 2 },
  async run({ args, global }) {
    const [list = "", entry = ""] = args;
    print(`${await manifestRemove(engineFor(global), list, entry)}\n`);
  },
});

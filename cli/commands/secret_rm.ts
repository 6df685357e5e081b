/** @see podman-secret-rm(1) */

import { secretRm, secrets } from "../../runtime/engine/secrets.ts";
import { InvalidArgumentError, NotFoundError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";

export const command = defineCommand({
  usage: "[options] SECRET [SECRET...]",
  description:
    "Removes secrets, and prints their ids. A container that was made with one keeps the file that\n" +
    "it has; one that has it as a variable does not start any more.",
  examples: ["skiff secret rm token", "skiff secret rm --all"],
  flags: {
    all: { kind: "bool", short: "a", help: "All secrets" },
    ignore: { kind: "bool", short: "i", help: "A secret that does not exist is no error" },
  },
  async run({ options: { all, ignore }, args, global }) {
    if (args.length > 0 === all) {
      throw new InvalidArgumentError("`skiff secret rm` requires one argument, or the --all flag");
    }
    const engine = engineFor(global);
    const targets = all ? (await secrets(engine)).map(({ ID }) => ID) : args;
    return await forEach(targets, async (text) => {
      try {
        return await secretRm(engine, text);
      } catch (error) {
        if (!((ignore || all) && error instanceof NotFoundError)) throw error;
        return undefined;
      }
    });
  },
});

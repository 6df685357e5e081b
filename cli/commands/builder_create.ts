/** @see docs.docker.com/reference/cli/docker/buildx/create */

import { UnsupportedError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options]",
  description:
    "There is one builder, `default`: skiff itself, which needs no daemon and is always ready. So that scripts go\n" +
    "on, asking for one prints its name; one of another name or kind is refused.",
  examples: ["skiff buildx create --use"],
  flags: {
    bootstrap: { kind: "bool", help: "It is always ready" },
    driver: { kind: "string", value: "DRIVER", help: "docker is another word for it", hidden: true },
    name: { kind: "string", value: "NAME", help: "Only default" },
    use: { kind: "bool", help: "It is always the one that is used" },
  },
  arity: { max: 0 },
  run({ options: { driver, name } }) {
    if (name !== undefined && name !== "default") {
      throw new UnsupportedError(`create builder "${name}": there is one builder, default`, {
        hint: "skiff builds without a daemon; leave --name out",
      });
    }
    if (driver !== undefined && driver !== "docker") {
      throw new UnsupportedError(`create builder: builders of kind ${driver} cannot be had`, {
        hint: "skiff builds without a daemon; leave --driver out",
      });
    }
    print("default\n");
    return Promise.resolve();
  },
});

/** @see podman-update(1); ports are changed by skiff alone */

import { update } from "../../runtime/engine/update.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options] CONTAINER",
  description:
    "Changes the published ports of a container, at once where it runs, and for all its later runs. Either the\n" +
    "whole change is made or none of it.",
  examples: [
    "skiff update --publish-add 8443:443 web",
    "skiff update --publish-rm 8080:80 --publish-add 80:80 web",
    "skiff update --publish-rm 53/udp dns",
  ],
  flags: {
    "publish-add": {
      kind: "list",
      value: "[IP:][HOST:]PORT[/PROTOCOL]",
      help: "Publish a port or a range, in the spelling of run --publish",
    },
    "publish-rm": {
      kind: "list",
      value: "[IP:][HOST:]PORT[/PROTOCOL]",
      help: "Publish it no more; without a host port wherever it is published",
    },
  },
  arity: { min: 1, max: 1 },
  async run({ options, args, global }) {
    const [publishAdd, publishRm] = [options["publish-add"], options["publish-rm"]];
    if (publishAdd.length + publishRm.length === 0) {
      throw new InvalidArgumentError("update container: --publish-add or --publish-rm is needed");
    }
    const { id } = await update(engineFor(global), args[0]!, { publishAdd, publishRm });
    print(`${id}\n`);
  },
});

/** @see podman-port(1) */

import { observe } from "../../runtime/engine/containers.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { LATEST } from "../flags/selection.ts";
import { selectContainers } from "../selection.ts";

export const command = defineCommand({
  usage: "[options] CONTAINER [PORT[/PROTOCOL]]",
  description:
    "Shows the published ports of a container. Containers publish no ports so far, so there are none.",
  examples: ["skiff port web", "skiff port web 80/tcp", "skiff port --all"],
  flags: {
    all: { kind: "bool", short: "a", help: "Show the ports of all running containers" },
    ...LATEST,
  },
  arity: { max: 2 },
  async run({ options, args, global }) {
    if (options.all && args.length > 0) throw new InvalidArgumentError("no arguments are needed with --all");
    if (args.length === 0 && !options.all && !options.latest) {
      throw new InvalidArgumentError("you must supply a running container name or id");
    }
    const [container, port] = options.latest ? [undefined, args[0]] : args;
    if (port !== undefined && !/^\d{1,5}(\/(tcp|udp|sctp))?$/.test(port)) {
      throw new InvalidArgumentError(`invalid port "${port}": it is PORT or PORT/PROTOCOL`);
    }
    const engine = engineFor(global);
    const targets = container === undefined
      ? await selectContainers(engine, {
        args: [],
        all: options.all,
        latest: options.latest,
        onlyRunning: true,
      })
      : [container];
    for (const name of targets) await observe(engine, name);
  },
});

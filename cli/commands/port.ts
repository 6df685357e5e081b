/** @see podman-port(1) */

import { observe } from "../../runtime/engine/containers.ts";
import { parseWantedPort, portLines } from "../../runtime/engine/port_view.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { LATEST } from "../flags/selection.ts";
import { shortId } from "../output/humanize.ts";
import { print } from "../output/print.ts";
import { selectContainers } from "../selection.ts";

export const command = defineCommand({
  usage: "[options] CONTAINER [PORT[/PROTOCOL]]",
  description: "Shows where the ports of a running container are published, or one of them.\n" +
    "The address 0.0.0.0 stands for every one of this machine, of both IP versions, unless it was asked for itself.",
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
    if (port !== undefined) parseWantedPort(port);
    const engine = engineFor(global);
    const targets = container === undefined
      ? await selectContainers(engine, {
        args: [],
        all: options.all,
        latest: options.latest,
        onlyRunning: true,
      })
      : [container];
    for (const name of targets) {
      const { row, status } = await observe(engine, name);
      // as podman has it, one that does not run has none
      if (status.pid === 0) continue;
      const lead = options.all ? `${shortId(row.id)}\t` : "";
      const ports = row.pod
        ? (await import("../../runtime/engine/pods/of_container.ts")).portsOfPod(await engine.database(), row)
        : row.ports;
      for (const line of portLines(ports?.published ?? [], port)) print(`${lead}${line}\n`);
    }
  },
});

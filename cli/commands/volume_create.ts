/** @see podman-volume-create(1) */

import { volumeCreate } from "../../runtime/engine/volumes.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { pairs } from "../flags/pairs.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options] [NAME]",
  description:
    "Makes a volume and prints its name. With -o o=bind -o device=/path a folder of the host is its content. With\n" +
    "-o type=tmpfs it is kept in memory, for as long as a container that uses it runs. With -o nocopy it begins empty,\n" +
    "whatever the image has where it is mounted. With --driver image -o image=NAME it begins with that image's files.",
  examples: [
    "skiff volume create data",
    "skiff volume create -l team=web -o o=bind -o device=/srv/web site",
    "skiff volume create -o type=tmpfs -o o=size=64m,uid=1000 scratch",
    "skiff volume create --driver image -o image=debian:12 sysroot",
  ],
  flags: {
    driver: {
      kind: "string",
      short: "d",
      value: "DRIVER",
      help: "local, image, or a volume plugin: see volume reload",
      default: "local",
    },
    ignore: { kind: "bool", help: "A volume of that name is no error" },
    label: { kind: "array", short: "l", value: "KEY=VALUE", help: "Set metadata" },
    name: { kind: "string", hidden: true, help: "docker's: the name" },
    opt: {
      kind: "array",
      short: "o",
      value: "KEY=VALUE",
      help: "type, device, o: what the content is; nocopy; image",
    },
  },
  arity: { max: 1 },
  async run({ options, args, global }) {
    if (options.name !== undefined && args[0] !== undefined && options.name !== args[0]) {
      throw new InvalidArgumentError(
        "conflicting options: either specify --name or provide positional arg, not both",
      );
    }
    const { driver, ignore } = options;
    const labels = pairs(options.label), opts = pairs(options.opt);
    const name = await volumeCreate(engineFor(global), args[0] ?? options.name, {
      driver,
      ignore,
      labels,
      options: opts,
    });
    print(`${name}\n`);
  },
});

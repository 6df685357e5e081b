/** @see podman-rmi(1) */

import { rmi } from "../../runtime/engine/rmi.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { printRemoval } from "../output/removal.ts";

export const command = defineCommand({
  usage: "[options] IMAGE [IMAGE...]",
  description:
    "Removes names, and images with their last name. Exits with 1 if an image does not exist, with 2 if\n" +
    "one is in use.",
  examples: ["skiff rmi docker.io/library/debian:12", "skiff rmi --force 8bd99a384753", "skiff rmi --all"],
  flags: {
    all: { kind: "bool", short: "a", help: "Remove all images that no container uses" },
    force: { kind: "bool", short: "f", help: "Remove all names of an image, and the containers that use it" },
    ignore: { kind: "bool", short: "i", help: "An image that does not exist is no error" },
    "no-prune": { kind: "bool", help: "Of podman and docker: there are no parent images here", hidden: true },
  },
  async run({ options, args, global }) {
    const { all, force, ignore } = options;
    if (all && args.length > 0) {
      throw new InvalidArgumentError("when using the --all switch, you may not pass any images names or IDs");
    }
    if (!all && args.length === 0) throw new InvalidArgumentError("image name or ID must be specified");
    return printRemoval(await rmi(engineFor(global), args, { all, force, ignore }), 2);
  },
});

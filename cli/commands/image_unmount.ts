/** @see podman-image-unmount(1) */

import { listMountedImages, unmountImage } from "../../runtime/engine/image_mount.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";

export const command = defineCommand({
  usage: "[options] IMAGE [IMAGE...]",
  description: "Takes away what `skiff image mount` has mounted, and prints the ids.",
  examples: ["skiff image unmount debian", "skiff image unmount --all"],
  flags: {
    all: { kind: "bool", short: "a", help: "All that are mounted" },
    force: { kind: "bool", short: "f", help: "Also where something works in it still" },
  },
  async run({ options: { all, force }, args, global }) {
    if (!all && args.length === 0) throw new InvalidArgumentError("image name or ID must be specified");
    if (all && args.length > 0) throw new InvalidArgumentError("images may not be specified with --all");
    const engine = engineFor(global);
    const targets = all ? (await listMountedImages(engine)).map(({ id }) => id) : args;
    return await forEach(targets, async (name) => await unmountImage(engine, name, force));
  },
});

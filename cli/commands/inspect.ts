/** @see podman-inspect(1) */

import { containerInspect, imageInspect, inspect } from "../../runtime/engine/inspect.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { LATEST } from "../flags/selection.ts";
import { INSPECT_FLAGS, printInspection, SIZE } from "../inspection.ts";
import { selectContainers } from "../selection.ts";

const TYPES = ["all", "container", "image"];

export const command = defineCommand({
  usage: "[options] NAME [NAME...]",
  description: "A name is first looked for among containers, then among images.",
  examples: [
    "skiff inspect web",
    "skiff inspect --format '{{.State.Pid}}' web",
    "skiff inspect --type image debian",
  ],
  flags: {
    ...INSPECT_FLAGS,
    ...SIZE,
    ...LATEST,
    type: { kind: "string", short: "t", value: "TYPE", help: "container, image or all", default: "all" },
  },
  async run({ options, args, global }) {
    const type = options.type ?? "all";
    if (!TYPES.includes(type)) {
      throw new InvalidArgumentError(`invalid type "${type}": must be "image", "container", or "all"`);
    }
    const engine = engineFor(global);
    if (options.latest && type === "image") {
      throw new InvalidArgumentError("latest is not supported for type image");
    }
    const targets = args.length === 0 && !options.latest
      ? []
      : await selectContainers(engine, { args, latest: options.latest });
    if (targets.length === 0) throw new InvalidArgumentError("no names or ids specified");
    return await printInspection(targets, async (name) => {
      if (type === "image") return { type: "image", document: await imageInspect(engine, name) };
      if (type === "container") {
        return { type: "container", document: await containerInspect(engine, name, options) };
      }
      return await inspect(engine, name, options);
    }, options.format);
  },
});

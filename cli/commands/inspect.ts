/** @see podman-inspect(1) */

import type { Engine } from "../../runtime/engine/engine.ts";
import { containerInspect, imageInspect, inspect } from "../../runtime/engine/inspect.ts";
import { InvalidArgumentError, NotFoundError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { LATEST } from "../flags/selection.ts";
import { type Found, INSPECT_FLAGS, printInspection, SIZE } from "../inspection.ts";
import { selectContainers } from "../selection.ts";

const TYPES = ["all", "container", "image", "volume", "network", "pod"];

export const command = defineCommand({
  usage: "[options] NAME [NAME...]",
  description: "A name is looked for among containers, then among images, volumes, networks and pods.",
  examples: [
    "skiff inspect web",
    "skiff inspect --format '{{.State.Pid}}' web",
    "skiff inspect --type image debian",
  ],
  flags: {
    ...INSPECT_FLAGS,
    ...SIZE,
    ...LATEST,
    type: {
      kind: "string",
      short: "t",
      value: "TYPE",
      help: "container, image, volume, network, pod or all",
      default: "all",
    },
  },
  async run({ options, args, global }) {
    const type = options.type ?? "all";
    if (!TYPES.includes(type)) {
      throw new InvalidArgumentError(
        `invalid type "${type}": must be "image", "container", "pod", "network", "volume", or "all"`,
      );
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
      if (type === "volume") return await volume(engine, name);
      if (type === "network") return await network(engine, name);
      if (type === "pod") return await pod(engine, name);
      return await firstOf([
        () => inspect(engine, name, options),
        () => volume(engine, name),
        () => network(engine, name),
        () => pod(engine, name),
      ]);
    }, options.format);
  },
});

/** What the first finds; where none does, the error of the first. */
async function firstOf([first, ...others]: (() => Promise<Found>)[]): Promise<Found> {
  try {
    return await first!();
  } catch (error) {
    if (!(error instanceof NotFoundError) || others.length === 0) throw error;
    return await firstOf(others).catch((later) => {
      throw later instanceof NotFoundError ? error : later;
    });
  }
}

async function volume(engine: Engine, name: string): Promise<Found> {
  const document = await (await import("../../runtime/engine/volumes.ts")).volumeInspect(engine, name);
  return { type: "volume", document, fields: { ...document } };
}

async function network(engine: Engine, name: string): Promise<Found> {
  const [{ networkInspect }, { inspectedNetwork, networkFields }] = await Promise.all([
    import("../../runtime/engine/networks.ts"),
    import("../output/networks.ts"),
  ]);
  const found = await networkInspect(engine, name);
  return { type: "network", document: inspectedNetwork(found), fields: networkFields(found) };
}

async function pod(engine: Engine, name: string): Promise<Found> {
  const document = await (await import("../../runtime/engine/pods/inspect.ts")).podInspect(engine, name);
  return { type: "pod", document, fields: { ...document } };
}

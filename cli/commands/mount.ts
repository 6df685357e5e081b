/** @see podman-mount(1) */

import { listMounts, mountContainer } from "../../runtime/engine/mount.ts";
import { ps } from "../../runtime/engine/ps.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";
import { LATEST } from "../flags/selection.ts";
import { jsonText } from "../output/escape.ts";
import { print } from "../output/print.ts";
import { selectContainers } from "../selection.ts";

export const command = defineCommand({
  usage: "[options] [CONTAINER...]",
  description:
    "Mounts the root filesystems of containers and prints where; without a name lists what is mounted. An " +
    "ordinary user does this within `skiff unshare`, and the mount goes with that session.",
  examples: ["skiff unshare sh -c 'cp -a $(skiff mount web)/etc etc'", "skiff mount"],
  flags: {
    all: { kind: "bool", short: "a", help: "Mount all containers" },
    format: { kind: "string", value: "FORMAT", help: "Of the list: json" },
    ...LATEST,
    "no-trunc": { kind: "bool", aliases: ["notruncate"], help: "Of the list: whole ids" },
  },
  async run({ options, args, global }) {
    const { all, latest, format } = options;
    if (format !== undefined && !["", "json"].includes(format)) {
      throw new InvalidArgumentError(`unknown --format argument: "${format}"`);
    }
    const engine = engineFor(global);
    if (args.length === 0 && !all && !latest) {
      const mounts = await listMounts(engine);
      if (format === "json") return print(jsonText(mounts, 1) + "\n");
      const id = (whole: string) => options["no-trunc"] ? whole : whole.slice(0, 12);
      return print(mounts.map((one) => `${id(one.id)}  ${one.mountpoint}\n`).join(""));
    }
    const targets = all
      ? (await ps(engine, { all: true })).map(({ Id }) => Id)
      : await selectContainers(engine, { args, latest });
    return await forEach(targets, async (name) => await mountContainer(engine, name));
  },
});

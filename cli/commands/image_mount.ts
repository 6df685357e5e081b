/** @see podman-image-mount(1) */

import { listMountedImages, type MountedImage, mountImage } from "../../runtime/engine/image_mount.ts";
import { images } from "../../runtime/engine/images.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { escapeControl, jsonText } from "../output/escape.ts";
import { print } from "../output/print.ts";
import { renderTable } from "../output/table.ts";

export const command = defineCommand({
  usage: "[options] [IMAGE...]",
  description:
    "Mounts the files of images read-only and prints where; without a name lists what is mounted. An ordinary\n" +
    "user does this within `skiff unshare`, and the mount goes with that session.",
  examples: ["skiff unshare sh -c 'ls $(skiff image mount debian)'", "skiff image mount"],
  flags: {
    all: { kind: "bool", short: "a", help: "Mount all images" },
    format: { kind: "string", value: "FORMAT", help: "Of the list: json" },
  },
  async run({ options: { all, format }, args, global }) {
    if (format !== undefined && !["", "json"].includes(format)) {
      throw new InvalidArgumentError(`unknown --format argument: "${format}"`);
    }
    if (all && args.length > 0) throw new InvalidArgumentError("images may not be specified with --all");
    const engine = engineFor(global);
    const targets = all ? (await images(engine)).map(({ Id }) => Id) : args;
    if (targets.length === 0 && !all) return print(render(await listMountedImages(engine), format));
    const mounted: MountedImage[] = [];
    for (const name of targets) mounted.push(await mountImage(engine, name));
    print(args.length === 1 && format !== "json" ? `${mounted[0]!.mountpoint}\n` : render(mounted, format));
  },
});

function render(mounted: readonly MountedImage[], format: string | undefined): string {
  if (format === "json") {
    const documents = mounted.map(({ id, digest, names, mountpoint }) => ({
      id,
      Names: [digest],
      Repositories: names,
      mountpoint,
    }));
    return jsonText(documents, 1) + "\n";
  }
  return renderTable(mounted.map(({ id, names, mountpoint }) => [names[0] ?? id, escapeControl(mountpoint)]));
}

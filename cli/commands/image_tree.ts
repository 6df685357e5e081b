/** @see podman-image-tree(1) */

import { imageTree, type TreeLayer } from "../../runtime/engine/image_tree.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { humanSize, shortId } from "../output/humanize.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options] IMAGE",
  description: "Shows the layers of an image, the lowest first.",
  examples: ["skiff image tree debian", "skiff image tree --whatrequires debian"],
  flags: {
    whatrequires: { kind: "bool", help: "Show the layers of other images that lie on this one" },
  },
  arity: { min: 1, max: 1 },
  async run({ options, args, global }) {
    const { id, names, size, layers } = await imageTree(engineFor(global), args[0]!);
    const top = layers.at(-1);
    const shown = options.whatrequires && top !== undefined
      ? branch(top, "", true)
      : layers.map((layer, at) => line(layer, at === layers.length - 1 ? "└── " : "├── "));
    print(
      `Image ID: ${shortId(id)}\nTags:     [${names.join(" ")}]\nSize:     ${humanSize(size, 4)}\n` +
        `${layers.length > 0 ? "Image Layers" : "No Image Layers"}\n${shown.join("")}\n`,
    );
  },
});

function branch(layer: TreeLayer, indent: string, isLast: boolean): string[] {
  const deeper = indent + (isLast ? "    " : "│   ");
  return [
    line(layer, indent + (isLast ? "└── " : "├── ")),
    ...layer.children.flatMap((child, at) => branch(child, deeper, at === layer.children.length - 1)),
  ];
}

function line({ id, size, topLayerOf }: TreeLayer, lead: string): string {
  const tags = topLayerOf.length > 0 ? ` Top Layer of: [${topLayerOf.join(" ")}]` : "";
  return `${lead}ID: ${shortId(id)} Size: ${humanSize(size, 4).padStart(7)}${tags}\n`;
}

/** @see podman-image-prune(1) */

import { images } from "../../runtime/engine/images.ts";
import { removeUnusedImages } from "../../runtime/engine/system_prune.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { filterImages } from "../filters/images.ts";
import { print } from "../output/print.ts";
import { confirmed } from "../terminal/confirm.ts";

const WARNINGS = {
  dangling: "WARNING! This command removes all dangling images.",
  all: "WARNING! This command removes all images without at least one container associated with them.",
};

export const command = defineCommand({
  usage: "[options]",
  description: "Removes images that have no name and no container, and prints their ids.",
  examples: ["skiff image prune --force", "skiff image prune --all --filter until=240h"],
  flags: {
    all: { kind: "bool", short: "a", help: "Also images that have a name" },
    external: { kind: "bool", help: "Of podman: other tools keep nothing in this store", hidden: true },
    filter: {
      kind: "array",
      value: "KEY=VALUE",
      help: "Only those that match: until, label, dangling, reference …",
    },
    force: { kind: "bool", short: "f", help: "Do not ask" },
  },
  arity: { max: 0 },
  async run({ options: { all, filter, force }, global }) {
    const engine = engineFor(global);
    const matching = filterImages(await images(engine), filter);
    if (!force && !confirmed(all ? WARNINGS.all : WARNINGS.dangling)) return;
    // docker's way to say --all
    const withNames = all || filter.some((text) => /^dangling=(false|0|f)$/i.test(text));
    const unused = matching.filter(({ Containers, Dangling }) => Containers === 0 && (withNames || Dangling));
    const removed = await removeUnusedImages(engine, unused.map(({ Id }) => Id));
    print(removed.map((id) => `${id}\n`).join(""));
  },
});

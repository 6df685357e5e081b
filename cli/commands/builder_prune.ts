/** @see docs.docker.com/reference/cli/docker/buildx/prune */

import { buildCache, buildPrune } from "../../runtime/engine/build_prune.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { parseSize } from "../../runtime/spec/size.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { filterCache } from "../filters/build_cache.ts";
import { cacheTable } from "../output/build_cache.ts";
import { humanSize } from "../output/humanize.ts";
import { print } from "../output/print.ts";
import { confirmed } from "../terminal/confirm.ts";
import { checkBuilder } from "./builder_use.ts";

const WARNINGS = {
  private: "WARNING! This will remove all build cache that no image shares.",
  all: "WARNING! This will remove all build cache.",
};

export const command = defineCommand({
  usage: "[options]",
  description:
    "Removes what builds have kept and no image has as well. Images are not touched; a build that is on its way\n" +
    "goes on, and keeps what it uses.",
  examples: ["skiff builder prune --force", "skiff builder prune --all --filter until=24h"],
  flags: {
    all: { kind: "bool", short: "a", help: "Also what images share with the cache" },
    builder: { kind: "string", help: "The only builder", hidden: true },
    filter: {
      kind: "array",
      value: "KEY=VALUE",
      help: "Only those that match: until, id, type, inuse, shared …",
    },
    force: { kind: "bool", short: "f", help: "Do not ask" },
    "keep-storage": {
      kind: "string",
      value: "SIZE",
      aliases: ["max-used-space", "reserved-space"],
      help: "Remove the least recently used, until no more than SIZE is left",
    },
    verbose: { kind: "bool", help: "Tell ids in full" },
  },
  arity: { max: 0 },
  async run({ options: { all, builder, filter, force, verbose, "keep-storage": keep }, global }) {
    checkBuilder(builder);
    const keepBytes = keep === undefined ? undefined : parseSize(keep);
    if (keep !== undefined && keepBytes === undefined) {
      throw new InvalidArgumentError(`invalid argument "${keep}" for --keep-storage`);
    }
    const engine = engineFor(global);
    const now = Date.now();
    const chosen = filterCache(await buildCache(engine), filter, now);
    if (!force && !confirmed(all ? WARNINGS.all : WARNINGS.private)) return;
    const ids = filter.length === 0 ? undefined : chosen.map(({ ID }) => ID);
    const { removed, freed } = await buildPrune(engine, { all, ids, keepBytes });
    if (removed.length > 0) print(cacheTable(removed, now, verbose));
    print(`Total:\t${humanSize(freed)}\n`);
  },
});

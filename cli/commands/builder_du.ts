/** @see docs.docker.com/reference/cli/docker/buildx/du */

import { buildCache } from "../../runtime/engine/build_prune.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { filterCache } from "../filters/build_cache.ts";
import { cacheDetails, cacheTable } from "../output/build_cache.ts";
import { jsonText } from "../output/escape.ts";
import { humanSize } from "../output/humanize.ts";
import { print } from "../output/print.ts";
import { checkBuilder } from "./builder_use.ts";

export const command = defineCommand({
  usage: "[options]",
  description: "Shows what builds have kept: the results of steps, and the folders of cache mounts.",
  examples: ["skiff buildx du", "skiff buildx du --verbose --filter type=exec.cachemount"],
  flags: {
    builder: { kind: "string", help: "The only builder", hidden: true },
    filter: {
      kind: "array",
      value: "KEY=VALUE",
      help: "Only those that match: until, id, type, inuse, shared …",
    },
    format: { kind: "string", value: "FORMAT", choices: ["table", "json"], help: "table or json" },
    "no-trunc": { kind: "bool", help: "Show ids in full" },
    verbose: { kind: "bool", help: "Tell all of each" },
  },
  arity: { max: 0 },
  async run({ options, global }) {
    checkBuilder(options.builder);
    const now = Date.now();
    const entries = filterCache(await buildCache(engineFor(global)), options.filter, now);
    if (options.format === "json") {
      return print(entries.map((entry) => `${jsonText(entry)}\n`).join(""));
    }
    const sum = (list: typeof entries) => humanSize(list.reduce((total, { Size }) => total + Size, 0));
    const shared = entries.filter(({ Shared }) => Shared);
    const list = options.verbose
      ? `${cacheDetails(entries, now)}\n`
      : cacheTable(entries, now, options["no-trunc"]);
    const totals = [
      ["Shared:", sum(shared)],
      ["Private:", sum(entries.filter(({ Shared }) => !Shared))],
      ["Reclaimable:", sum(entries.filter(({ InUse }) => !InUse))],
      ["Total:", sum(entries)],
    ];
    print(list + totals.map(([name, value]) => `${name!.padEnd(16)}${value}\n`).join(""));
  },
});

/** @see podman-history(1) */

import { history, type HistoryStep } from "../../runtime/engine/history.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { PLATFORM_FLAGS } from "../flags/platform.ts";
import { goTime, humanAge, humanSizeSpaced } from "../output/humanize.ts";
import { type ListView, renderList } from "../output/list.ts";
import { print } from "../output/print.ts";

const CREATED_BY_WIDTH = 45;
const ID_WIDTH = 12;
/** The oldest that Go's durations reach; what has no time is that old. */
const LONGEST_AGE_MS = 2 ** 63 / 1e6;

function view(human: boolean, noTrunc: boolean): ListView<HistoryStep> {
  const now = Date.now();
  const age = (iso: string) =>
    humanAge(new Date(Math.max(Date.parse(iso), now - LONGEST_AGE_MS)).toISOString(), now);
  const time = ({ created }: HistoryStep) => human ? age(created) : created.replace(/\.\d+/, "");
  return {
    name: "history",
    rowType: "images.historyReporter",
    fields: {
      ID: { heading: "ID", value: ({ id }) => noTrunc || id.startsWith("<") ? id : id.slice(0, ID_WIDTH) },
      Created: { heading: "CREATED", value: time },
      CreatedSince: { heading: "CREATED", value: ({ created }) => age(created) },
      CreatedAt: { heading: "CREATED AT", value: ({ created }) => goTime(created) },
      CreatedBy: {
        heading: "CREATED BY",
        value: ({ createdBy }) =>
          noTrunc || createdBy.length <= CREATED_BY_WIDTH
            ? createdBy
            : `${createdBy.slice(0, CREATED_BY_WIDTH - 3)}...`,
      },
      Size: { heading: "SIZE", value: ({ size }) => human ? humanSizeSpaced(size) : size },
      Comment: { heading: "COMMENT", value: ({ comment }) => comment },
      Tags: { heading: "TAGS", value: ({ tags }) => tags },
    },
    document: ({ id, created, createdBy, size, comment, tags }) => ({
      id,
      created,
      CreatedBy: createdBy,
      size,
      ...(comment === "" ? {} : { comment }),
      ...(tags.length === 0 ? {} : { tags }),
      Created: created,
    }),
  };
}

export const command = defineCommand({
  usage: "[options] IMAGE",
  description: "Lists the steps that an image was made by, the latest first.",
  examples: ["skiff history debian", "skiff history --no-trunc --format '{{.CreatedBy}}' debian"],
  flags: {
    format: { kind: "string", value: "FORMAT", help: "json, table, or a Go template for each step" },
    human: { kind: "bool", short: "H", default: true, help: "Show sizes and times for people" },
    "no-trunc": { kind: "bool", aliases: ["notruncate"], help: "Show ids and commands in full" },
    platform: PLATFORM_FLAGS.platform,
    quiet: { kind: "bool", short: "q", help: "Print ids only" },
  },
  arity: { min: 1, max: 1 },
  async run({ options, args, global }) {
    const steps = await history(engineFor(global), args[0]!, { platform: options.platform });
    const rows = view(options.human, options["no-trunc"]);
    if (options.quiet) {
      return print(steps.map((step) => `${rows.fields.ID!.value(step)}\n`).join(""));
    }
    const columns = ["ID", "Created", "CreatedBy", "Size", "Comment"];
    // podman takes them for the same
    const format = /^\s*\{\{\s*json\s*\.?\s*\}\}\s*$/.test(options.format ?? "") ? "json" : options.format;
    print(await renderList(steps, rows, { format, columns, jsonIndent: 0 }));
  },
});

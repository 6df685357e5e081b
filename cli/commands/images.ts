/** @see podman-images(1) */

import { type ImageListEntry, images } from "../../runtime/engine/images.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand, type Flags, type Values } from "../command.ts";
import { engineFor } from "../engine.ts";
import { jsonText } from "../output/escape.ts";
import { goTime, humanAge, humanSizeSpaced, shortId } from "../output/humanize.ts";
import { type Field, type ListView, renderList } from "../output/list.ts";
import { print } from "../output/print.ts";

const SORT_KEYS = ["created", "id", "repository", "size", "tag"] as const;

const FLAGS = {
  all: { kind: "bool", short: "a", help: "Show all images; skiff keeps no intermediate ones" },
  digests: { kind: "bool", help: "Show digests" },
  filter: { kind: "list", short: "f", value: "KEY=VALUE", help: "Show only images that match" },
  format: { kind: "string", value: "FORMAT", help: "json, table, or a Go template for each image" },
  history: { kind: "bool", help: "Show the names that images have had, too" },
  "no-trunc": { kind: "bool", aliases: ["notruncate"], help: "Show ids in full" },
  noheading: { kind: "bool", short: "n", help: "Print no headings" },
  quiet: { kind: "bool", short: "q", help: "Print ids only" },
  sort: { kind: "string", value: "KEY", choices: SORT_KEYS, help: `Sort by ${SORT_KEYS.join(", ")}` },
} as const satisfies Flags;

/** An image under one of its names. */
interface Row {
  image: ImageListEntry;
  repository: string;
  tag: string;
}

function rowsOf(image: ImageListEntry): Row[] {
  if (image.Names.length > 0) return image.Names.map((name) => ({ image, ...splitName(name) }));
  const repository = image.RepoDigests[0]?.replace(/@.*$/, "") ?? "<none>";
  return [{ image, repository, tag: "<none>" }];
}

/** `localhost:5000/a:1` is the repository `localhost:5000/a` and the tag `1`. */
function splitName(name: string): { repository: string; tag: string } {
  const at = name.lastIndexOf(":");
  if (at <= name.lastIndexOf("/")) return { repository: name, tag: "<none>" };
  return { repository: name.slice(0, at), tag: name.slice(at + 1) };
}

/** The fields of a row, as podman and docker name them. */
function fieldsOf(noTrunc: boolean, now: number): Record<string, Field<Row>> {
  const age = ({ image }: Row) => humanAge(image.CreatedAt, now);
  return {
    Repository: { heading: "REPOSITORY", value: ({ repository }) => repository },
    Tag: { heading: "TAG", value: ({ tag }) => tag },
    ID: { heading: "IMAGE ID", value: ({ image }) => noTrunc ? `sha256:${image.Id}` : shortId(image.Id) },
    Digest: { heading: "DIGEST", value: ({ image }) => image.Digest },
    Created: { heading: "CREATED", value: age },
    CreatedSince: { heading: "CREATED", value: age },
    CreatedAt: { heading: "CREATED AT", value: ({ image }) => goTime(image.CreatedAt) },
    CreatedTime: { heading: "CREATED TIME", value: ({ image }) => goTime(image.CreatedAt) },
    Size: { heading: "SIZE", value: ({ image }) => humanSizeSpaced(image.Size) },
    VirtualSize: { heading: "VIRTUAL SIZE", value: ({ image }) => image.VirtualSize },
    SharedSize: { heading: "SHARED SIZE", value: ({ image }) => image.SharedSize },
    Labels: { heading: "LABELS", value: ({ image }) => image.Labels ?? {} },
    Containers: { heading: "CONTAINERS", value: ({ image }) => image.Containers },
    Dangling: { heading: "DANGLING", value: ({ image }) => image.Dangling },
    Names: { heading: "NAMES", value: ({ image }) => image.Names },
    History: { heading: "HISTORY", value: ({ image }) => image.History.join(", ") },
    RepoTags: { heading: "REPO TAGS", value: ({ image }) => image.RepoTags ?? [] },
    RepoDigests: { heading: "REPO DIGESTS", value: ({ image }) => image.RepoDigests },
    Arch: { heading: "ARCH", value: ({ image }) => image.Arch },
    Os: { heading: "OS", value: ({ image }) => image.Os },
    ReadOnly: { heading: "R/O", value: () => false },
  };
}

function view(noTrunc: boolean): ListView<Row> {
  return {
    name: "images",
    rowType: "images.imageReporter",
    fields: fieldsOf(noTrunc, Date.now()),
    document: ({ image }) => image,
  };
}

const ORDERS: Record<string, (a: Row, b: Row) => number> = {
  created: (a, b) => b.image.Created - a.image.Created,
  id: (a, b) => compare(a.image.Id, b.image.Id),
  repository: (a, b) => compare(a.repository, b.repository),
  size: (a, b) => a.image.Size - b.image.Size,
  tag: (a, b) => compare(a.tag, b.tag),
};

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

async function choose(entries: ImageListEntry[], name: string | undefined, options: Values<typeof FLAGS>) {
  const filters = name === undefined ? options.filter : [...options.filter, `reference=${name}`];
  if (filters.length === 0) return entries;
  const { filterImages } = await import("../filters/images.ts");
  return filterImages(entries, filters);
}

export const command = defineCommand({
  usage: "[options] [NAME]",
  examples: ["skiff images", "skiff images debian", "skiff images --filter dangling=true -q"],
  flags: FLAGS,
  arity: { max: 1 },
  async run({ options, args, global }) {
    const { format, quiet, digests, noheading } = options;
    if (quiet && format !== undefined) {
      throw new InvalidArgumentError("quiet and format are mutually exclusive");
    }
    const chosen = await choose(await images(engineFor(global)), args[0], options);
    if (format === "json") return print(jsonText(chosen, 4) + "\n");
    const named = args[0];
    let rows = chosen.flatMap(rowsOf);
    if (named?.includes(":")) {
      rows = rows.filter(({ repository, tag }) => `${repository}:${tag}`.endsWith(named));
    }
    if (options.sort) rows.sort(ORDERS[options.sort]);
    if (quiet) {
      const ids = new Set(
        rows.map(({ image }) => options["no-trunc"] ? `sha256:${image.Id}` : shortId(image.Id)),
      );
      return print([...ids].map((id) => id + "\n").join(""));
    }
    const columns = [
      ...["Repository", "Tag", ...(digests ? ["Digest"] : []), "ID", "CreatedSince", "Size"],
      ...(options.history ? ["History"] : []),
    ];
    print(await renderList(rows, view(options["no-trunc"]), { format, columns, noHeading: noheading }));
  },
});

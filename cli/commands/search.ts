/** @see podman-search(1), docker-search(1) */

import {
  type RepositoryTags,
  search,
  type SearchOptions,
  type SearchResult,
  searchTags,
} from "../../runtime/engine/search.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { REGISTRY_FLAGS, registryFrom } from "../flags/registry_login.ts";
import { jsonText } from "../output/escape.ts";
import { type ListView, renderList } from "../output/list.ts";
import { print, printWarnings } from "../output/print.ts";

const DESCRIPTION_CHARS = 44;

function viewOf(noTrunc: boolean): ListView<SearchResult> {
  const describe = ({ Description }: SearchResult) => {
    const line = Description.replaceAll("\n", " ");
    const chars = [...line];
    return noTrunc || chars.length <= DESCRIPTION_CHARS
      ? line
      : chars.slice(0, DESCRIPTION_CHARS).join("") + "...";
  };
  return {
    name: "search",
    rowType: "entities.ImageSearchReport",
    fields: {
      Index: { heading: "INDEX", value: ({ Index }) => Index },
      Name: { heading: "NAME", value: ({ Name }) => Name },
      Description: { heading: "DESCRIPTION", value: describe },
      Stars: { heading: "STARS", value: ({ Stars }) => Stars },
      StarCount: { heading: "STARS", value: ({ Stars }) => Stars },
      Official: { heading: "OFFICIAL", value: ({ Official }) => Official },
      IsOfficial: { heading: "OFFICIAL", value: ({ Official }) => Official },
      Automated: { heading: "AUTOMATED", value: ({ Automated }) => Automated },
      IsAutomated: { heading: "AUTOMATED", value: ({ Automated }) => Automated },
      Tag: { heading: "TAG", value: ({ Tag }) => Tag },
    },
    document: (one) => ({ ...one, Description: describe(one) }),
  };
}

const TAG_VIEW: ListView<{ Name: string; Tag: string }> = {
  name: "search",
  rowType: "images.listEntryTag",
  fields: {
    Name: { heading: "NAME", value: ({ Name }) => Name },
    Tag: { heading: "TAG", value: ({ Tag }) => Tag },
  },
  document: (one) => one,
};

export const command = defineCommand({
  usage: "[options] TERM",
  description:
    "TERM is REGISTRY/WORD, or a word alone, which the registries of registries.conf are asked for.",
  examples: [
    "skiff search --filter is-official --limit 3 alpine",
    "skiff search registry.example.com/team",
    "skiff search --list-tags docker.io/library/debian",
  ],
  flags: {
    ...REGISTRY_FLAGS,
    compatible: { kind: "bool", help: "Show stars, official and automated columns, as docker" },
    filter: {
      kind: "array",
      short: "f",
      value: "FILTER",
      help: "Show only what is-official, is-automated or has stars=N",
    },
    format: { kind: "string", value: "FORMAT", help: "json, table, or a Go template for each image" },
    limit: { kind: "int", value: "N", help: "At most N of each registry (default 25)" },
    "list-tags": { kind: "bool", help: "List the tags of the repository TERM" },
    "no-trunc": { kind: "bool", help: "Show descriptions in full" },
  },
  arity: { min: 1, max: 1 },
  async run({ options, given, args }) {
    const term = args[0]!.replace(/^docker:\/\//, "");
    const filters = filtersFrom(options.filter);
    const limit = options.limit === undefined || options.limit === 0 ? undefined : Math.max(options.limit, 0);
    const how = { ...await registryFrom(options, given), ...filters, limit };
    if (options["list-tags"]) {
      if (options.filter.length > 0) {
        throw new InvalidArgumentError("filters are not applicable to list tags result");
      }
      return await printTags(await searchTags(term, how), options.format);
    }
    const { results, failures } = await search(term, how);
    printWarnings(failures.map(({ message }) => message));
    if (results.length === 0 && options.format !== "json") return;
    const columns = ["Name", "Description", ...options.compatible ? ["Stars", "Official", "Automated"] : []];
    print(await renderList(results, viewOf(options["no-trunc"]), { format: options.format, columns }));
  },
});

async function printTags(found: RepositoryTags, format: string | undefined): Promise<void> {
  if (format === "json") return print(jsonText([found], 4) + "\n");
  const rows = found.Tags.map((Tag) => ({ Name: found.Name, Tag }));
  if (rows.length > 0) print(await renderList(rows, TAG_VIEW, { format, columns: ["Name", "Tag"] }));
}

/** @throws {InvalidArgumentError} in podman's words */
function filtersFrom(
  filters: readonly string[],
): Pick<SearchOptions, "stars" | "isOfficial" | "isAutomated"> {
  const found: Pick<SearchOptions, "stars" | "isOfficial" | "isAutomated"> = {};
  for (const text of filters) {
    const [key, value] = text.split("=", 2);
    if (key === "stars" && value !== undefined) {
      if (!/^[-+]?\d{1,9}$/.test(value)) {
        throw new InvalidArgumentError(
          `incorrect value type for stars filter: strconv.Atoi: parsing ${
            JSON.stringify(value)
          }: invalid syntax`,
        );
      }
      found.stars = Number(value);
    } else if (key === "is-official") found.isOfficial = value !== "false";
    else if (key === "is-automated") found.isAutomated = value !== "false";
    else throw new InvalidArgumentError(`invalid filter type ${JSON.stringify(text)}`);
  }
  return found;
}

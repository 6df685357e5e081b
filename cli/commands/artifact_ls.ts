/** @see podman-artifact-ls(1) */

import { type ArtifactListEntry, artifacts } from "../../runtime/engine/artifacts.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { goTime, humanAge, humanSize } from "../output/humanize.ts";
import { type ListView, renderList } from "../output/list.ts";
import { print } from "../output/print.ts";

function viewOf(noTrunc: boolean): ListView<ArtifactListEntry> {
  const hex = ({ Digest }: ArtifactListEntry) => Digest.slice(Digest.indexOf(":") + 1);
  return {
    name: "ls",
    rowType: "artifact.artifactListOutput",
    fields: {
      Repository: { heading: "REPOSITORY", value: ({ Repository }) => Repository },
      Tag: { heading: "TAG", value: ({ Tag }) => Tag },
      Digest: { heading: "DIGEST", value: (one) => noTrunc ? hex(one) : hex(one).slice(0, 12) },
      Size: { heading: "SIZE", value: ({ Size }) => humanSize(Size, 4) },
      VirtualSize: { heading: "VIRTUAL SIZE", value: ({ Size }) => Size },
      Created: { heading: "CREATED", value: ({ Created }) => humanAge(Created, Date.now()) },
      CreatedAt: { heading: "CREATED AT", value: ({ Created }) => goTime(Created) },
    },
    document: (one) => one,
  };
}

export const command = defineCommand({
  usage: "[options]",
  examples: ["skiff artifact ls", "skiff artifact ls --format '{{.Repository}}:{{.Tag}}'"],
  flags: {
    format: { kind: "string", value: "FORMAT", help: "json, table, or a Go template for each artifact" },
    "no-trunc": { kind: "bool", help: "Show digests in full" },
    noheading: { kind: "bool", short: "n", help: "Print no headings" },
    quiet: { kind: "bool", short: "q", help: "Print digests only" },
  },
  arity: { max: 0 },
  async run({ options, global }) {
    const { format, quiet, noheading, "no-trunc": noTrunc } = options;
    const view = viewOf(noTrunc);
    print(
      await renderList(await artifacts(engineFor(global)), view, {
        format,
        columns: quiet ? ["Digest"] : ["Repository", "Tag", "Digest", "Size"],
        noHeading: noheading || quiet,
      }),
    );
  },
});

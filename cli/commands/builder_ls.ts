/** @see docs.docker.com/reference/cli/docker/buildx/ls */

import { version } from "../../runtime/engine/version.ts";
import { defineCommand } from "../command.ts";
import { type ListView, renderList } from "../output/list.ts";
import { print } from "../output/print.ts";

interface Builder {
  Name: string;
  DriverEndpoint: string;
  Status: string;
  Buildkit: string;
  Platforms: string;
}

const VIEW: ListView<Builder> = {
  name: "ls",
  rowType: "*builder",
  fields: {
    Name: { heading: "NAME/NODE", value: ({ Name }) => Name },
    DriverEndpoint: { heading: "DRIVER/ENDPOINT", value: ({ DriverEndpoint }) => DriverEndpoint },
    Status: { heading: "STATUS", value: ({ Status }) => Status },
    Buildkit: { heading: "BUILDKIT", value: ({ Buildkit }) => Buildkit },
    Platforms: { heading: "PLATFORMS", value: ({ Platforms }) => Platforms },
  },
  document: (builder) => ({ ...builder }),
};

export const command = defineCommand({
  usage: "[options]",
  description: "There is one builder, `default`: skiff itself, which needs no daemon.",
  examples: ["skiff buildx ls", "skiff buildx ls --format json"],
  flags: { format: { kind: "string", value: "FORMAT", help: "table, json or a Go template" } },
  arity: { max: 0 },
  async run({ options: { format } }) {
    const { Version, OsArch } = version().Client;
    const only: Builder = {
      Name: "default*",
      DriverEndpoint: "skiff",
      Status: "running",
      Buildkit: `skiff v${Version}`,
      Platforms: OsArch,
    };
    print(await renderList([only], VIEW, { format, columns: Object.keys(VIEW.fields) }));
  },
});

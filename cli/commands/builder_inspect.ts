/** @see docs.docker.com/reference/cli/docker/buildx/inspect */

import { version } from "../../runtime/engine/version.ts";
import { defineCommand } from "../command.ts";
import { print } from "../output/print.ts";
import { checkBuilder } from "./builder_use.ts";

export const command = defineCommand({
  usage: "[options] [NAME]",
  description: "Describes the one builder, `default`: skiff itself.",
  examples: ["skiff buildx inspect --bootstrap"],
  flags: { bootstrap: { kind: "bool", help: "It is always ready" } },
  arity: { max: 1 },
  run({ args }) {
    checkBuilder(args[0]);
    const { Version, OsArch } = version().Client;
    const rows = [
      ["Name:", "default"],
      ["Driver:", "skiff"],
      [],
      ["Nodes:"],
      ["Name:", "default"],
      ["Endpoint:", "default"],
      ["Status:", "running"],
      ["BuildKit version:", `skiff v${Version}`],
      ["Platforms:", OsArch],
    ];
    const width = 18;
    print(
      rows.map(([name = "", value]) => value === undefined ? `${name}\n` : `${name.padEnd(width)}${value}\n`)
        .join(""),
    );
    return Promise.resolve();
  },
});

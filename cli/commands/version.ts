/** @see podman-version(1) */

import { version } from "../../runtime/engine/version.ts";
import { defineCommand } from "../command.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options]",
  examples: ["skiff version", "skiff version --format '{{.Client.Version}}'"],
  flags: {
    format: { kind: "string", short: "f", value: "FORMAT", help: "json, or a Go template" },
  },
  arity: { max: 0 },
  async run({ options: { format } }) {
    const document = version();
    if (format === "json") return print(JSON.stringify(document, undefined, 2) + "\n");
    if (format !== undefined) {
      const [{ renderDocument }, { versionView }] = await Promise.all([
        import("../output/format.ts"),
        import("../output/document.ts"),
      ]);
      return print(renderDocument("version", format, versionView(document)));
    }
    const { Client: client } = document;
    const lines = [
      ["Client:", "skiff"],
      ["Version:", client.Version],
      ["API Version:", client.APIVersion],
      ["Deno Version:", client.DenoVersion],
      ["Form:", client.Form],
      ["OS/Arch:", client.OsArch],
    ];
    print(lines.map(([name, value]) => `${name!.padEnd(14)}${value}\n`).join(""));
  },
});

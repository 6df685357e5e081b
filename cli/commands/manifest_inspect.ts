/** @see podman-manifest-inspect(1) */

import { manifestInspect } from "../../runtime/engine/manifest_inspect.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { jsonText } from "../output/escape.ts";
import { print, printError } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options] LIST",
  description: "Shows a list of the store, or else what a registry has under that name.",
  examples: ["skiff manifest inspect app:1", "skiff manifest inspect docker.io/library/debian:12"],
  flags: {
    authfile: { kind: "string", value: "FILE", help: "Read logins from FILE" },
    "tls-verify": {
      kind: "bool",
      default: true,
      help: "Require HTTPS and verify certificates of registries",
    },
    verbose: { kind: "bool", short: "v", help: "Of Docker, without effect", hidden: true },
    insecure: { kind: "bool", help: "Of Docker: --tls-verify=false", hidden: true },
  },
  arity: { min: 1, max: 1 },
  async run({ options, given, args, global }) {
    const { document, isList } = await manifestInspect(engineFor(global), args[0]!, {
      tlsVerify: options.insecure ? false : given.has("tls-verify") ? options["tls-verify"] : undefined,
      authFile: options.authfile,
    });
    if (!isList) printError("Warning: it is the manifest of a single image, not a manifest list\n");
    print(jsonText(document, 4) + "\n");
  },
});

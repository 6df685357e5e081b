/** @see podman-artifact-rm(1) */

import { artifactRm } from "../../runtime/engine/artifacts.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { print, printError } from "../output/print.ts";
import { renderError } from "../render_error.ts";

export const command = defineCommand({
  usage: "[options] ARTIFACT [ARTIFACT...]",
  description: "Prints the digests of what is gone.",
  examples: ["skiff artifact rm registry.example.com/team/model:1", "skiff artifact rm --all"],
  flags: {
    all: { kind: "bool", short: "a", help: "Remove all artifacts" },
    ignore: { kind: "bool", short: "i", help: "An artifact that does not exist is no error" },
  },
  async run({ options, args, global }) {
    const { removed, errors } = await artifactRm(engineFor(global), args, options);
    print(removed.map((digest) => digest.slice(digest.indexOf(":") + 1) + "\n").join(""));
    let code = 0;
    for (const error of errors) {
      const rendered = renderError(error, false);
      printError(rendered.text);
      code = Math.max(code, rendered.exitCode);
    }
    return code;
  },
});

/** @see docs.docker.com/reference/cli/docker/buildx/version */

import { VERSION } from "../../runtime/engine/version.ts";
import { defineCommand } from "../command.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "",
  examples: ["skiff buildx version"],
  flags: {},
  arity: { max: 0 },
  run() {
    print(`skiff v${VERSION}\n`);
    return Promise.resolve();
  },
});

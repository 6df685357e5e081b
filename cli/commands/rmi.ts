/** @see podman-rmi(1) */

import { rmi } from "../../runtime/engine/rmi.ts";
import { ConflictError, InvalidArgumentError, NotFoundError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { print, printError } from "../output/print.ts";
import { renderError } from "../render_error.ts";

/** podman's: 1 where there is no such image, 2 where one is in use. */
function exitCodeFor(error: unknown, standard: number): number {
  if (error instanceof NotFoundError) return 1;
  return error instanceof ConflictError ? 2 : standard;
}

export const command = defineCommand({
  usage: "[options] IMAGE [IMAGE...]",
  description:
    "Removes names, and images with their last name. Exits with 1 if an image does not exist, with 2 if\n" +
    "one is in use.",
  examples: ["skiff rmi docker.io/library/debian:12", "skiff rmi --force 8bd99a384753", "skiff rmi --all"],
  flags: {
    all: { kind: "bool", short: "a", help: "Remove all images that no container uses" },
    force: { kind: "bool", short: "f", help: "Remove all names of an image, and the containers that use it" },
    ignore: { kind: "bool", short: "i", help: "An image that does not exist is no error" },
    "no-prune": { kind: "bool", help: "Of podman and docker: there are no parent images here", hidden: true },
  },
  async run({ options, args, global }) {
    const { all, force, ignore } = options;
    if (all && args.length > 0) {
      throw new InvalidArgumentError("when using the --all switch, you may not pass any images names or IDs");
    }
    if (!all && args.length === 0) throw new InvalidArgumentError("image name or ID must be specified");
    const { untagged, deleted, errors } = await rmi(engineFor(global), args, { all, force, ignore });
    print(
      [...untagged.map((name) => `Untagged: ${name}\n`), ...deleted.map((id) => `Deleted: ${id}\n`)].join(""),
    );
    let code = 0;
    for (const error of errors) {
      const rendered = renderError(error, false);
      printError(rendered.text);
      code = Math.max(code, exitCodeFor(error, rendered.exitCode));
    }
    return code;
  },
});

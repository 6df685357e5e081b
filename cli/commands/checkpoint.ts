/** @see podman-container-checkpoint(1), podman-container-restore(1): known, and refused with the reason */

import { UnsupportedError } from "../../runtime/errors.ts";
import { type Command, defineCommand } from "../command.ts";

const CRIU = "it needs CRIU with the rights of root, and skiff runs no program with such rights";

function refused(action: string, example: string): Command {
  return defineCommand({
    usage: "CONTAINER [CONTAINER...]",
    description: `Not possible: ${CRIU}.`,
    examples: [example],
    flags: {},
    run({ args }) {
      throw new UnsupportedError(`${action} container "${args[0] ?? ""}": ${CRIU}`);
    },
  });
}

export const command = refused("checkpoint", "skiff container checkpoint web");
export const restore = refused("restore", "skiff container restore web");

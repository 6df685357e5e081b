/** @see podman-network-rm(1) */

import { networkRm } from "../../runtime/engine/network_rm.ts";
import { ConflictError, InvalidArgumentError, NotFoundError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";
import { TIME } from "../flags/selection.ts";

/** podman's: 1 where there is no such network, 2 where a container is on one. */
function exitCodeFor(error: unknown, standard: number): number {
  if (error instanceof NotFoundError) return 1;
  return error instanceof ConflictError ? 2 : standard;
}

export const command = defineCommand({
  usage: "[options] NETWORK [NETWORK...]",
  description: "Removes networks. Exits with 1 if one does not exist, with 2 if a container is on one.",
  examples: ["skiff network rm web", "skiff network rm --force web db"],
  flags: {
    force: {
      kind: "bool",
      short: "f",
      help: "Remove the containers that are on it before, running or not; no error where it does not exist",
    },
    time: {
      ...TIME.time,
      help: "With --force: seconds to wait for a container's end before killing (default 0)",
    },
  },
  arity: { min: 1 },
  async run({ options: { force, time }, args, global }) {
    if (time !== undefined && !force) {
      throw new InvalidArgumentError("--force option must be specified to use the --time option");
    }
    const engine = engineFor(global);
    const remove = async (name: string) => {
      try {
        await networkRm(engine, name, { force, timeoutSeconds: time });
      } catch (error) {
        if (force && error instanceof NotFoundError) return undefined;
        throw error;
      }
      return name;
    };
    let code = 0;
    // one after another: a container may be on several of them
    for (const name of args) code = Math.max(code, await forEach([name], remove, exitCodeFor));
    return code;
  },
});

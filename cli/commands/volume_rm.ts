/** @see podman-volume-rm(1) */

import { volumeRm } from "../../runtime/engine/volume_rm.ts";
import { volumes } from "../../runtime/engine/volumes.ts";
import { ConflictError, InvalidArgumentError, NotFoundError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";
import { TIME } from "../flags/selection.ts";

/** podman's: 1 where there is no such volume, 2 where a container uses one. */
function exitCodeFor(error: unknown, standard: number): number {
  if (error instanceof NotFoundError) return 1;
  return error instanceof ConflictError ? 2 : standard;
}

export const command = defineCommand({
  usage: "[options] VOLUME[@SNAPSHOT] [VOLUME[@SNAPSHOT]...]",
  description:
    "Removes volumes with their content and snapshots, or snapshots (VOLUME@NAME). Exits with 1 if one does not exist, with 2 if one is in use.",
  examples: ["skiff volume rm data", "skiff volume rm --force --all"],
  flags: {
    all: { kind: "bool", short: "a", help: "All volumes" },
    force: {
      kind: "bool",
      short: "f",
      help: "Remove the containers that use it before, running or not; no error where it does not exist",
    },
    time: {
      ...TIME.time,
      help: "With --force: seconds to wait for a container's end before killing (default 0)",
    },
  },
  async run({ options, args, global }) {
    const { all, force, time } = options;
    if (args.length > 0 === all) throw new InvalidArgumentError("choose either one or more volumes or all");
    if (time !== undefined && !force) {
      throw new InvalidArgumentError("--force option must be specified to use the --time option");
    }
    const engine = engineFor(global);
    const targets = all ? (await volumes(engine)).map(({ Name }) => Name) : args;
    return await forEach(targets, async (name) => {
      try {
        if (name.includes("@")) {
          const { volumeSnapshotRm } = await import("../../runtime/engine/volume_snapshot.ts");
          return await volumeSnapshotRm(engine, name);
        }
        await volumeRm(engine, name, { force, timeoutSeconds: time });
      } catch (error) {
        if (force && error instanceof NotFoundError) return;
        throw error;
      }
      return name;
    }, exitCodeFor);
  },
});

/** @see podman-rm(1) */

import { DependentsError, rm } from "../../runtime/engine/rm.ts";
import { ConflictError, InvalidArgumentError, NotFoundError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";
import { CIDFILE, IGNORE, LATEST, TIME } from "../flags/selection.ts";
import { selectContainers } from "../selection.ts";

/** podman's: 1 where there is no such container, 2 where one runs. */
function exitCodeFor(error: unknown, standard: number): number {
  if (error instanceof NotFoundError) return 1;
  return error instanceof ConflictError && !(error instanceof DependentsError) ? 2 : standard;
}

export const command = defineCommand({
  usage: "[options] CONTAINER [CONTAINER...]",
  description:
    "Exits with 1 if a container does not exist, with 2 if one is running, with 125 if others require it.",
  examples: [
    "skiff rm web db",
    "skiff rm --force --all",
    "skiff rm -v $(skiff ps -q --filter status=exited)",
  ],
  flags: {
    all: { kind: "bool", short: "a", help: "Remove all containers" },
    ...CIDFILE,
    depend: { kind: "bool", help: "Remove the containers that require it, too" },
    filter: { kind: "list", value: "KEY=VALUE", help: "Remove the containers that match" },
    force: { kind: "bool", short: "f", help: "Kill it where it runs; no error where it does not exist" },
    ...IGNORE,
    ...LATEST,
    time: { ...TIME.time, help: "With --force: seconds to wait for its end before killing (default 0)" },
    volumes: { kind: "bool", short: "v", help: "Remove its anonymous volumes, too" },
  },
  async run({ options, args, global }) {
    if (options.time !== undefined && !options.force) {
      throw new InvalidArgumentError("--force option must be specified to use the --time option");
    }
    const engine = engineFor(global);
    const ignore = options.ignore || options.force;
    const targets = await selectContainers(engine, { ...options, args, ignore });
    return await forEach(targets, async (name) => {
      const { force, volumes, time } = options;
      // of all containers one may require another, and go with it
      const depend = options.depend || options.all;
      const removed = await rm(engine, name, {
        force,
        volumes,
        depend,
        ignore: ignore || options.all,
        timeoutSeconds: time,
      });
      return removed !== undefined || options.all ? name : undefined;
    }, exitCodeFor);
  },
});

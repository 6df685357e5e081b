/** @see podman-pod-rm(1) */

import { podRm } from "../../runtime/engine/pods/rm.ts";
import { InvalidArgumentError, NotFoundError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";
import { TIME } from "../flags/selection.ts";
import { LATEST_POD, POD_ID_FILE, selectPods } from "../pod_selection.ts";

export const command = defineCommand({
  usage: "[options] POD [POD...]",
  description: "Removes pods with their containers. Exits with 1 if a pod does not exist.",
  examples: ["skiff pod rm web", "skiff pod rm --force --all"],
  flags: {
    all: { kind: "bool", short: "a", help: "Remove all pods" },
    force: {
      kind: "bool",
      short: "f",
      help: "Kill containers that run; no error where there is no such pod",
    },
    ignore: { kind: "bool", short: "i", help: "A pod that does not exist is no error" },
    ...LATEST_POD,
    ...POD_ID_FILE,
    time: {
      ...TIME.time,
      help: "With --force: seconds to wait for the containers' end before killing (default 0)",
    },
  },
  async run({ options, args, global }) {
    const { force, time: timeoutSeconds } = options;
    if (timeoutSeconds !== undefined && !force) {
      throw new InvalidArgumentError("--force option must be specified to use the --time option");
    }
    const engine = engineFor(global);
    const targets = await selectPods(engine, { ...options, args });
    const ignore = options.ignore || force || options.all;
    return await forEach(
      targets,
      (name) => podRm(engine, name, { force, ignore, timeoutSeconds }),
      (error, standard) => error instanceof NotFoundError ? 1 : standard,
    );
  },
});

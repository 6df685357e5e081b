/** @see podman-container-inspect(1) */

import { containerInspect } from "../../runtime/engine/inspect.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { LATEST } from "../flags/selection.ts";
import { INSPECT_FLAGS, printInspection, SIZE } from "../inspection.ts";
import { selectContainers } from "../selection.ts";

export const command = defineCommand({
  usage: "[options] CONTAINER [CONTAINER...]",
  examples: ["skiff container inspect web", "skiff container inspect --format '{{.Config.Labels}}' --latest"],
  flags: { ...INSPECT_FLAGS, ...SIZE, ...LATEST },
  async run({ options, args, global }) {
    const engine = engineFor(global);
    const targets = await selectContainers(
      engine,
      { args, latest: options.latest },
      "no names or ids specified",
    );
    return await printInspection(
      targets,
      async (name) => ({ type: "container", document: await containerInspect(engine, name, options) }),
      options.format,
    );
  },
});

/** @see podman-pod-inspect(1) */

import { podInspect } from "../../runtime/engine/pods/inspect.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { INSPECT_FLAGS, printInspection } from "../inspection.ts";
import { LATEST_POD, selectPods } from "../pod_selection.ts";

export const command = defineCommand({
  usage: "[options] POD [POD...]",
  examples: ["skiff pod inspect web", "skiff pod inspect --format '{{.State}}' web"],
  flags: { ...INSPECT_FLAGS, ...LATEST_POD },
  async run({ options, args, global }) {
    const engine = engineFor(global);
    const targets = await selectPods(engine, { args, latest: options.latest });
    return await printInspection(targets, async (name) => {
      const document = await podInspect(engine, name);
      return { type: "pod", document, fields: { ...document } };
    }, options.format);
  },
});

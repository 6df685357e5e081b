/** @see podman-pod-top(1) */

import { podTop } from "../../runtime/engine/pods/top.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { escapeControl } from "../output/escape.ts";
import { print } from "../output/print.ts";
import { renderTable } from "../output/table.ts";
import { LATEST_POD, selectPods } from "../pod_selection.ts";

export const command = defineCommand({
  usage: "[options] POD [DESCRIPTOR...]",
  description: "Lists the processes of a pod's containers. The descriptors are those of `skiff top`.",
  examples: ["skiff pod top web", "skiff pod top web hpid user args"],
  flags: LATEST_POD,
  optionsFirst: true,
  async run({ options, args, global }) {
    const [name, words] = options.latest ? [undefined, args] : [args[0], args.slice(1)];
    if (name === undefined && !options.latest) {
      throw new InvalidArgumentError("you must provide the name or id of a running pod");
    }
    const engine = engineFor(global);
    const [pod = ""] = await selectPods(engine, {
      args: name === undefined ? [] : [name],
      latest: options.latest,
    });
    const { titles, processes } = await podTop(engine, pod, words.length > 0 ? words : undefined);
    // as podman: a pod of which nothing runs has no table
    if (processes.length === 0) return;
    print(renderTable([titles, ...processes.map((texts) => texts.map(escapeControl))]));
  },
});

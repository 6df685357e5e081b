/** @see podman-pod-logs(1) */

import { podMembers } from "../../runtime/engine/pods/list.ts";
import { InvalidArgumentError, NotFoundError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { LOG_FLAGS } from "../flags/logs.ts";
import { LATEST_POD, selectPods } from "../pod_selection.ts";

export const command = defineCommand({
  usage: "[options] POD",
  description: "Shows what the containers of a pod have written; lines begin with their container's id.",
  examples: ["skiff pod logs web", "skiff pod logs --follow --names web", "skiff pod logs -c db web"],
  flags: {
    ...LOG_FLAGS,
    container: { kind: "string", short: "c", value: "CONTAINER", help: "Only that of one of its containers" },
    ...LATEST_POD,
  },
  async run({ options, args, global }) {
    if (args.length === 0 && !options.latest) {
      throw new InvalidArgumentError("specify at least one pod name or ID to log");
    }
    if (args.length > 1) throw new InvalidArgumentError("requires exactly 1 arg");
    const engine = engineFor(global);
    const [pod = ""] = await selectPods(engine, { args, latest: options.latest });
    const { container } = options;
    const members = (await podMembers(engine, pod)).filter(({ Id, IsInfra, Name }) =>
      container === undefined ? !IsInfra : Name === container || Id.startsWith(container)
    );
    if (container !== undefined && members.length === 0) {
      throw new NotFoundError("container", container, {
        message: `container ${container} is not in pod ${pod}: no such container`,
      });
    }
    const { showLogs } = await import("./logs.ts");
    await showLogs(engine, members.map(({ Id }) => Id), {
      ...options,
      details: false,
      hasPrefix: container === undefined,
    });
  },
});

/** @see podman-wait(1) */

import { wait } from "../../runtime/engine/wait.ts";
import { InvalidArgumentError, NotFoundError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { LATEST } from "../flags/selection.ts";
import { forEach } from "../each.ts";
import { parseDuration } from "../output/time_argument.ts";
import { selectContainers } from "../selection.ts";

const CONDITIONS = ["created", "exited", "paused", "removing", "running", "stopped", "stopping"];

export const command = defineCommand({
  usage: "[options] CONTAINER [CONTAINER...]",
  description: "Prints the exit code of each container when it has ended.",
  examples: ["skiff wait web", "skiff wait --condition running web"],
  flags: {
    condition: {
      kind: "list",
      value: "STATE",
      help: `Wait for a state: ${CONDITIONS.join(", ")} (default stopped)`,
    },
    ignore: { kind: "bool", help: "A container that does not exist is no error, and counts as -1" },
    interval: { kind: "string", short: "i", value: "TIME", help: "Time between two looks (default 250ms)" },
    ...LATEST,
  },
  async run({ options, args, global, path }) {
    for (const condition of options.condition) {
      if (!CONDITIONS.includes(condition)) {
        throw new InvalidArgumentError(`unknown container state: ${condition}: invalid argument`);
      }
    }
    const intervalMs = parseInterval(options.interval ?? "250ms");
    const engine = engineFor(global);
    const none = `"${path}" requires a name, id, or the "--latest" flag`;
    const targets = await selectContainers(engine, { args, latest: options.latest }, none);
    // All are waited for at once, and told in their order.
    const codes = targets.map((name) => {
      const code = wait(engine, name, { conditions: options.condition, intervalMs }).catch((error) => {
        if (options.ignore && error instanceof NotFoundError) return -1;
        throw error;
      });
      code.catch(() => {}); // told when its turn comes
      return code;
    });
    let exitCode = 0;
    for (const code of codes) {
      exitCode = Math.max(exitCode, await forEach([code], async (told) => String(await told)));
    }
    return exitCode;
  },
});

/** A duration, or milliseconds. */
function parseInterval(text: string): number {
  const ms = /^\d+$/.test(text) ? Number(text) : parseDuration(text);
  if (ms === undefined || ms < 0) {
    throw new InvalidArgumentError(`invalid --interval "${text}": not a duration`);
  }
  return ms;
}

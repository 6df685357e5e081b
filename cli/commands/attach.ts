/** @see podman-attach(1) */

import { attach } from "../../runtime/engine/attach.ts";
import { loadConfig, observe } from "../../runtime/engine/containers.ts";
import { settle } from "../../runtime/engine/run.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { DETACH_KEYS, SIG_PROXY } from "../flags/process.ts";
import { LATEST } from "../flags/selection.ts";
import { selectContainers } from "../selection.ts";
import { exitCodeOf, joinSession } from "../terminal/session.ts";

export const command = defineCommand({
  usage: "[options] CONTAINER",
  description: "Exits with the program's exit code, with 0 after the detach keys.",
  examples: ["skiff attach shell", "skiff attach --no-stdin web"],
  flags: {
    ...DETACH_KEYS,
    ...LATEST,
    "no-stdin": { kind: "bool", help: "Do not pass stdin on" },
    ...SIG_PROXY,
  },
  async run({ options, args, global, path }) {
    if (args.length > 1) throw new InvalidArgumentError(`\`${path}\` accepts at most one argument`);
    const engine = engineFor(global);
    const none = `"${path}" requires a name, id, or the "--latest" flag`;
    const [name = ""] = await selectContainers(engine, { args, latest: options.latest }, none);
    const { row } = await observe(engine, name);
    const config = loadConfig(engine, row.id);
    try {
      return exitCodeOf(
        await joinSession((streams) => attach(engine, name, streams), {
          tty: config.tty,
          stdin: config.interactive && !options["no-stdin"],
          detachKeys: options["detach-keys"] ?? config.detachKeys,
          sigProxy: options["sig-proxy"],
        }),
      );
    } finally {
      await settle(engine, row.id);
    }
  },
});

/** @see podman-start(1) */

import { start } from "../../runtime/engine/start.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import type { Engine } from "../../runtime/engine/engine.ts";
import { defineCommand } from "../command.ts";
import { forEachInTurn } from "../each.ts";
import { engineFor } from "../engine.ts";
import { DETACH_KEYS, SIG_PROXY } from "../flags/process.ts";
import { FILTER, LATEST } from "../flags/selection.ts";
import { selectContainers } from "../selection.ts";

interface Attach {
  stdin: boolean;
  detachKeys?: string;
  sigProxy: boolean;
}

/** Loaded here, not above: a plain `start` needs no session. */
async function startAttached(
  engine: Engine,
  name: string,
  { stdin, detachKeys, sigProxy }: Attach,
): Promise<number> {
  const [{ attachTo }, { loadConfig }, { settle }, { exitCodeOf, joinSession }] = await Promise.all([
    import("../../runtime/engine/attach.ts"),
    import("../../runtime/engine/containers.ts"),
    import("../../runtime/engine/run.ts"),
    import("../terminal/session.ts"),
  ]);
  const { id, socketPath } = await start(engine, name, { foreground: true });
  const config = loadConfig(engine, id);
  try {
    return exitCodeOf(
      await joinSession((streams) => attachTo(socketPath, streams), {
        tty: config.tty,
        stdin: stdin && config.interactive,
        detachKeys: detachKeys ?? config.detachKeys,
        sigProxy,
      }),
    );
  } finally {
    await settle(engine, id);
  }
}

export const command = defineCommand({
  usage: "[options] CONTAINER [CONTAINER...]",
  examples: ["skiff start web", "skiff start -ai shell", "skiff start --filter label=autostart"],
  flags: {
    all: { kind: "bool", help: "Start all containers" },
    attach: { kind: "bool", short: "a", help: "Attach to the output, and exit with the program's exit code" },
    ...DETACH_KEYS,
    ...FILTER,
    interactive: { kind: "bool", short: "i", help: "Attach, and pass stdin on" },
    ...LATEST,
    ...SIG_PROXY,
  },
  async run({ options, args, global }) {
    const engine = engineFor(global);
    const targets = await selectContainers(
      engine,
      { ...options, args },
      "start requires at least one argument",
    );
    if (options.attach || options.interactive) {
      if (targets.length > 1) {
        throw new InvalidArgumentError("you cannot start and attach multiple containers at once");
      }
      return await startAttached(engine, targets[0]!, {
        stdin: options.interactive,
        detachKeys: options["detach-keys"],
        sigProxy: options["sig-proxy"],
      });
    }
    return await forEachInTurn(targets, async (name) => {
      await start(engine, name);
      return name;
    });
  },
});

/** @see podman-exec(1) */

import { attachTo, signalSession } from "../../runtime/engine/attach.ts";
import { exec } from "../../runtime/engine/exec.ts";
import { configuredDetachKeys } from "../../runtime/engine/detach_keys.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { parseSignal } from "../../runtime/spec/signal.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { resolveEnv } from "../flags/env.ts";
import {
  DETACH_KEYS,
  ENV,
  ENV_FILE,
  INTERACTIVE,
  PRESERVE_FDS,
  preservedFrom,
  PRIVILEGED,
  TTY,
  USER,
  WORKDIR,
} from "../flags/process.ts";
import { LATEST } from "../flags/selection.ts";
import { print } from "../output/print.ts";
import { windowSize } from "../terminal/raw_mode.ts";
import { exitCodeOf, joinSession } from "../terminal/session.ts";

export const command = defineCommand({
  usage: "[options] CONTAINER COMMAND [ARG...]",
  description: "The exit code is the program's; 126 where it cannot be executed, 127 where there is none.",
  examples: [
    "skiff exec -it web sh",
    "skiff exec -u root -w /tmp web ls -l",
    "skiff exec -e DEBUG=1 db backup",
  ],
  flags: {
    detach: { kind: "bool", short: "d", help: "Run in the background and print the session's id" },
    ...DETACH_KEYS,
    ...ENV,
    ...ENV_FILE,
    ...INTERACTIVE,
    ...LATEST,
    ...PRESERVE_FDS,
    ...PRIVILEGED,
    ...TTY,
    ...USER,
    ...WORKDIR,
  },
  optionsFirst: true,
  async run({ options, args, global }) {
    if (args.length === 0 && !options.latest) {
      throw new InvalidArgumentError("exec requires the name or ID of a container or the --latest flag");
    }
    const preserveFds = await preservedFrom(options);
    const engine = engineFor(global);
    let [name = "", ...command] = args;
    if (options.latest) {
      const { selectContainers } = await import("../selection.ts");
      [name = ""] = await selectContainers(engine, { args: [], latest: true });
      command = args;
    }
    const session = await exec(engine, name, {
      command,
      tty: options.tty,
      interactive: options.interactive,
      detach: options.detach,
      env: resolveEnv(options.env, Deno.env.toObject()),
      envFiles: options["env-file"],
      workdir: options.workdir,
      user: options.user,
      privileged: options.privileged,
      detachKeys: options["detach-keys"],
      size: options.tty ? windowSize() : undefined,
    }, { preserveFds });
    if (options.detach) return print(`${session.id}\n`);
    const outcome = await joinSession((streams) => attachTo(session.socketPath, streams), {
      tty: options.tty,
      stdin: options.interactive,
      detachKeys: options["detach-keys"] ??
        (options.tty && options.interactive ? await configuredDetachKeys() : undefined),
      sigProxy: true,
      // as a program gets it that writes to that pipe itself
      onReaderGone: () => signalSession(session.socketPath, parseSignal("SIGPIPE")).catch(() => {}),
    });
    return exitCodeOf(outcome);
  },
});

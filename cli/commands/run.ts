/** @see podman-run(1) */

import { attachTo } from "../../runtime/engine/attach.ts";
import { run, settle } from "../../runtime/engine/run.ts";
import type { Engine } from "../../runtime/engine/engine.ts";
import { configuredDetachKeys } from "../../runtime/engine/detach_keys.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { callerFacts } from "../caller.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { CREATE_FLAGS, toCreateOptions } from "../flags/create.ts";
import { PRESERVE_FDS, preservedFrom, SIG_PROXY } from "../flags/process.ts";
import { print, printWarnings, ReaderGoneError } from "../output/print.ts";
import { PullWatch } from "../terminal/pull_watch.ts";
import { windowSize } from "../terminal/raw_mode.ts";
import { exitCodeOf, joinSession } from "../terminal/session.ts";

export const command = defineCommand({
  usage: "[options] IMAGE [COMMAND [ARG...]]",
  description:
    "Creates a container from an image, pulled where it is missing, and starts it. The exit code is the\n" +
    "program's; 125 where skiff failed, 126 where the program cannot be executed, 127 where there is none.\n" +
    "The image `host` is made of this machine's own folders; /home, /root, /tmp, /run and /var/tmp are fresh.\n" +
    "Without root, /usr and /etc are read-only in it, but for what skiff generates, such as /etc/hosts.",
  examples: [
    "skiff run --rm host cat /etc/os-release",
    "skiff run --rm -it docker.io/library/debian bash",
    "skiff run -d --name db -e POSTGRES_PASSWORD -v data:/var/lib/postgresql/data docker.io/library/postgres",
    "skiff run --rm -v .:/src:ro -w /src --read-only docker.io/library/golang go vet ./...",
  ],
  flags: {
    ...CREATE_FLAGS,
    ...PRESERVE_FDS,
    ...SIG_PROXY,
    detach: { kind: "bool", short: "d", help: "Run in the background and print the container's id" },
    rmi: { kind: "bool", help: "Remove the container when it ends, and the image that no other uses" },
  },
  optionsFirst: true,
  arity: { min: 1 },
  async run({ options, given, args, global }) {
    if (options.detach && options.attach.length > 0) {
      throw new InvalidArgumentError("conflicting options: cannot specify both --attach and --detach");
    }
    if (options.detach && options.rmi) {
      throw new InvalidArgumentError("conflicting options: cannot specify both --rmi and --detach");
    }
    const preserveFds = await preservedFrom(options);
    const streams = attachedStreams(options.attach);
    const engine = engineFor(global);
    const asked = toCreateOptions(options, given, args, callerFacts());
    if (options.rmi) asked.autoRemove = true;
    if (options.tty) asked.size = windowSize();
    const watch = new PullWatch(options.quiet);
    const { id, socketPath } = await watch.during(() =>
      run(engine, asked, {
        foreground: !options.detach,
        preserveFds,
        signal: watch.signal,
        progress: watch.progress,
        warn: (text) => printWarnings([text]),
      })
    );
    if (options.detach) return print(`${id}\n`);
    // as for -d: nothing of the container's is shown
    if (!streams.stdout && !streams.stderr) print(`${id}\n`);
    try {
      const outcome = await joinSession((attachment) => attachTo(socketPath, attachment), {
        tty: options.tty,
        stdin: options.interactive && streams.stdin,
        stdout: streams.stdout,
        stderr: streams.stderr,
        detachKeys: options["detach-keys"] ??
          (options.tty && options.interactive ? await configuredDetachKeys() : undefined),
        sigProxy: options["sig-proxy"],
      });
      return exitCodeOf(outcome);
    } catch (error) {
      // `run --rm … | head`: nobody can read it or its log any more
      if (error instanceof ReaderGoneError && options.rm) {
        const { rm } = await import("../../runtime/engine/rm.ts");
        await rm(engine, id, { force: true, ignore: true });
      }
      throw error;
    } finally {
      await settle(engine, id);
      if (options.rmi) await removeImage(engine, asked.image);
    }
  },
});

/** Unless another container uses it; the program's exit code counts all the same. */
async function removeImage(engine: Engine, image: string): Promise<void> {
  const { rmi } = await import("../../runtime/engine/rmi.ts");
  const { errors } = await rmi(engine, [image]);
  printWarnings(errors.map(({ message }) => message));
}

/** All streams where none is named. */
function attachedStreams(names: readonly string[]): { stdin: boolean; stdout: boolean; stderr: boolean } {
  const wanted = new Set(names.map((name) => name.toLowerCase()));
  for (const name of wanted) {
    if (/^std(in|out|err)$/.test(name)) continue;
    throw new InvalidArgumentError(
      `invalid stream "${name}" for --attach - must be one of stdin, stdout, or stderr: invalid argument`,
    );
  }
  const has = (name: string) => wanted.size === 0 || wanted.has(name);
  return { stdin: has("stdin"), stdout: has("stdout"), stderr: has("stderr") };
}

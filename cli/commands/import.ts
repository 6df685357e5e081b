/** @see podman-import(1) */

import { importImage } from "../../runtime/engine/import.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { PLATFORM_FLAGS, platformFrom } from "../flags/platform.ts";
import { print } from "../output/print.ts";
import { PullWatch } from "../terminal/pull_watch.ts";

const STDIN = 0;

export const command = defineCommand({
  usage: "[options] PATH|URL|- [REFERENCE]",
  description:
    "Makes an image of the tar of a root filesystem, packed with gzip or zstd or not. Prints its id.",
  examples: [
    "skiff import rootfs.tar.gz debian:mine",
    "skiff export web | skiff import -c 'CMD [\"nginx\"]' - web:copy",
    "skiff import https://example.com/rootfs.tar.zst",
  ],
  flags: {
    change: {
      kind: "array",
      short: "c",
      value: "INSTRUCTION",
      help: "CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME or WORKDIR for the image",
    },
    message: { kind: "string", short: "m", value: "TEXT", help: "Comment for the image's history" },
    ...PLATFORM_FLAGS,
    quiet: { kind: "bool", short: "q", help: "Show no progress" },
  },
  arity: { min: 1, max: 2 },
  async run({ options, args, global }) {
    const [path, reference] = args as [string, string | undefined];
    if (path === "-" && Deno.stdin.isTerminal()) {
      throw new InvalidArgumentError("cannot read from terminal, use command-line redirection");
    }
    const watch = new PullWatch(options.quiet);
    const id = await watch.during(() =>
      importImage(engineFor(global), path === "-" ? { fd: STDIN } : path, {
        reference,
        changes: options.change,
        message: options.message,
        platform: platformFrom(options),
        signal: watch.signal,
        progress: watch.progress,
      })
    );
    print(`sha256:${id}\n`);
  },
});

/** @see podman-load(1) */

import { load } from "../../runtime/engine/load.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { PLATFORM_FLAGS } from "../flags/platform.ts";
import { print } from "../output/print.ts";
import { PullWatch } from "../terminal/pull_watch.ts";

const STDIN = 0;

export const command = defineCommand({
  usage: "[options]",
  description:
    "Reads docker-archive and oci-archive, packed with gzip or zstd or not, and folders of OCI layout or of\n" +
    "docker-dir. Prints the name of each image, or its id where the archive has no name for it; a folder's image\n" +
    "that has none is named after the folder's path: localhost/tmp/web:latest.",
  examples: ["skiff load -i debian.tar", "skiff save debian | ssh host skiff load"],
  flags: {
    input: { kind: "string", short: "i", value: "FILE", help: "Read from FILE or folder instead of stdin" },
    platform: PLATFORM_FLAGS.platform,
    quiet: { kind: "bool", short: "q", help: "Show no progress" },
  },
  arity: { max: 0 },
  async run({ options, global }) {
    // an empty name, perhaps of an unset variable, is stdin, as for podman
    const input = options.input || undefined;
    if (input === undefined && Deno.stdin.isTerminal()) {
      throw new InvalidArgumentError(
        "cannot read from terminal, use command-line redirection or the --input flag",
      );
    }
    const watch = new PullWatch(options.quiet);
    const loaded = await watch.during(() =>
      load(engineFor(global), input === undefined ? { fd: STDIN } : input, {
        platform: options.platform,
        signal: watch.signal,
        progress: watch.progress,
      })
    );
    const lines = loaded.flatMap(({ id, names }) => names.length > 0 ? names : [`sha256:${id}`]);
    print(lines.map((name) => `Loaded image: ${name}\n`).join(""));
  },
});

/** @see podman-save(1) */

import { save, type SaveFormat } from "../../runtime/engine/save.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { PLATFORM_FLAGS } from "../flags/platform.ts";
import { refuseTerminal, streaming } from "../output/stream.ts";
import { PullWatch } from "../terminal/pull_watch.ts";

const STDOUT = 1;
const FORMATS: readonly string[] = ["oci-dir", "oci-archive", "docker-dir", "docker-archive"];

export const command = defineCommand({
  usage: "[options] IMAGE [IMAGE...]",
  description:
    "Writes images to FILE or stdout. Layers of a docker-archive are unpacked, those of the other formats stay as\n" +
    "they are in the store, and so does the image's digest where the format has its kind of manifest.\n" +
    "A word that names no image is one more name for the first image, unless -m is given.",
  examples: [
    "skiff save -o debian.tar debian",
    "skiff save web db | gzip > all.tar.gz",
    "skiff save --format oci-dir -o layout debian",
  ],
  flags: {
    compress: { kind: "bool", help: "Pack layers that are not packed; only with --format docker-dir" },
    format: {
      kind: "string",
      value: "FORMAT",
      help: `${FORMATS.join(", ")} (default docker-archive)`,
    },
    "multi-image-archive": { kind: "bool", short: "m", help: "Every word must name an image" },
    output: {
      kind: "string",
      short: "o",
      value: "FILE",
      help: "Write to FILE, or for a -dir format a folder",
    },
    platform: PLATFORM_FLAGS.platform,
    quiet: { kind: "bool", short: "q", help: "Show no progress" },
    uncompressed: { kind: "bool", help: "Of podman: layers that are not packed stay so, here always" },
  },
  async run({ options, args, global }) {
    const { format = "docker-archive" } = options;
    // an empty name, perhaps of an unset variable, is stdout, as for podman
    const output = options.output || undefined;
    if (args.length === 0) throw new InvalidArgumentError("need at least 1 argument");
    if (!FORMATS.includes(format)) {
      throw new InvalidArgumentError(`format value must be one of ${FORMATS.join(" ")}`);
    }
    if (options.compress && format !== "docker-dir") {
      throw new InvalidArgumentError("--compress can only be set when --format is 'docker-dir'");
    }
    if (output === undefined && format.endsWith("-dir")) {
      throw new InvalidArgumentError(`--output is needed with --format ${format}, which is a folder`);
    }
    refuseTerminal(output, "save");
    const watch = new PullWatch(options.quiet || output === undefined && !Deno.stderr.isTerminal());
    await streaming(() =>
      watch.during(() =>
        save(engineFor(global), args, {
          format: format as SaveFormat,
          output: output ?? { fd: STDOUT },
          allAreImages: options["multi-image-archive"],
          packLayers: options.compress,
          platform: options.platform,
          signal: watch.signal,
          progress: watch.progress,
        })
      )
    );
  },
});

/** @see podman-commit(1) */

import { commit } from "../../runtime/engine/commit.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { print } from "../output/print.ts";
import { Interruption } from "../terminal/interruption.ts";

const FORMATS = ["oci", "docker"] as const;

export const command = defineCommand({
  usage: "[options] CONTAINER [IMAGE]",
  description: "Makes an image of what a container, running or not, has changed. Prints its id.",
  examples: [
    "skiff commit web web:tried",
    "skiff commit --pause -m 'with data' -c 'CMD [\"serve\"]' db",
  ],
  flags: {
    author: { kind: "string", short: "a", value: "TEXT", help: "Author of the image" },
    change: {
      kind: "array",
      short: "c",
      value: "INSTRUCTION",
      help: "CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME or WORKDIR for the image",
    },
    format: {
      kind: "string",
      short: "f",
      value: "FORMAT",
      help: "Format of the manifest: oci (default), docker",
    },
    iidfile: { kind: "string", value: "FILE", help: "Write the image's id to a file" },
    "include-volumes": { kind: "bool", help: "Volumes and bind mounts become volumes of the image" },
    message: { kind: "string", short: "m", value: "TEXT", help: "Comment for the image's history" },
    pause: { kind: "bool", short: "p", help: "Hold the container still meanwhile" },
    quiet: { kind: "bool", short: "q", help: "Show no progress" },
    squash: { kind: "bool", short: "s", help: "Make one layer of the image's files and the container's" },
  },
  arity: { min: 1, max: 2 },
  async run({ options, args, global }) {
    const [container, reference] = args as [string, string | undefined];
    const format = FORMATS.find((name) => name === (options.format ?? "oci"));
    if (format === undefined) throw new InvalidArgumentError(`unrecognized image format "${options.format}"`);
    using interruption = new Interruption();
    const { signal } = interruption;
    const id = await commit(engineFor(global), container, {
      reference: reference || undefined,
      author: options.author,
      message: options.message,
      changes: options.change,
      pause: options.pause,
      squash: options.squash,
      includeVolumes: options["include-volumes"],
      format,
      signal,
    }).catch((error) => {
      throw signal.aborted ? signal.reason : error;
    });
    if (options.iidfile) Deno.writeTextFileSync(options.iidfile, id);
    print(`${id}\n`);
  },
});

/** @see podman-manifest-push(1) */

import { manifestRm } from "../../runtime/engine/manifest_inspect.ts";
import { manifestPush } from "../../runtime/engine/manifest_push.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { packingFormat, PUSH_FLAGS, pushOptionsFrom } from "../flags/push.ts";
import { PullWatch } from "../terminal/pull_watch.ts";

export const command = defineCommand({
  usage: "[options] LIST [DESTINATION]",
  description: "Pushes a list and its images. DESTINATION is a name at a registry, or dir:PATH,\n" +
    "oci:PATH[:NAME], oci-archive:FILE[:NAME]. Images that are at a registry are brought from there,\n" +
    "or taken over by the registry itself where that has them.",
  examples: [
    "skiff manifest push app:1 docker://registry.example.com/team/app:1",
    "skiff manifest push --add-compression zstd app:1 registry.example.com/team/app:1",
    "skiff manifest push --rm app:1 oci-archive:app.tar:app",
  ],
  flags: {
    all: { kind: "bool", default: true, help: "Push the images of the list, too" },
    ...PUSH_FLAGS,
    "add-compression": {
      kind: "list",
      value: "FORMAT",
      help: "Add each image packed with gzip, zstd or zstd:chunked, too, where the list has none so",
    },
    rm: { kind: "bool", aliases: ["purge"], short: "p", help: "Remove the list where it was pushed" },
  },
  arity: { min: 1, max: 2 },
  async run({ options, given, args, global }) {
    const [list = "", destination = list] = args;
    const how = {
      all: options.all,
      addPacking: options["add-compression"]?.flatMap((text) => text.split(",")).map(packingFormat),
      ...await pushOptionsFrom(options, given),
    };
    const engine = engineFor(global);
    const watch = new PullWatch(options.quiet);
    const { digest } = await watch.during(() =>
      manifestPush(engine, list, destination, { ...how, signal: watch.signal, progress: watch.progress })
    );
    if (options.digestfile) await Deno.writeTextFile(options.digestfile, digest);
    if (options.rm) await manifestRm(engine, [list]);
  },
});

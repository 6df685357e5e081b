/** @see podman-push(1) */

import type { Engine } from "../../runtime/engine/engine.ts";
import { push } from "../../runtime/engine/push.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { ENCRYPTION_FLAGS, encryptionFrom } from "../flags/encryption.ts";
import { PUSH_FLAGS, pushOptionsFrom } from "../flags/push.ts";
import { PullWatch } from "../terminal/pull_watch.ts";

async function allTags(engine: Engine, name: string, other: string | undefined): Promise<string[]> {
  if (other !== undefined) {
    throw new InvalidArgumentError(
      "--all-tags: each is pushed as what it is, and so without DESTINATION and --digestfile",
    );
  }
  return await (await import("../../runtime/engine/list_tags.ts")).listStoredTags(engine, name);
}

export const command = defineCommand({
  usage: "[options] IMAGE [DESTINATION]",
  description:
    "DESTINATION is a name at a registry (the default is IMAGE; without a registry it is Docker\n" +
    "Hub's), or dir:PATH, oci:PATH[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME].\n" +
    "What the registry has is not sent, and an upload that breaks goes on where it was. An image\n" +
    "that was pulled keeps its digest.",
  examples: [
    "skiff push registry.example.com/team/app:1",
    "skiff push --digestfile digest app docker://registry.example.com/team/app:1",
    "skiff push app oci-archive:app.tar:app",
  ],
  flags: {
    all: { kind: "bool", help: "Push every platform of the index that the image is of" },
    "all-tags": { kind: "bool", short: "a", help: "Push every name of the repository that IMAGE is" },
    ...ENCRYPTION_FLAGS,
    ...PUSH_FLAGS,
  },
  arity: { min: 1, max: 2 },
  async run({ options, given, args, global }) {
    const [source, destination] = args as [string, string?];
    const digestFile = options.digestfile || undefined;
    const encryption = encryptionFrom(options);
    const how = { all: options.all, encryption, ...await pushOptionsFrom(options, given) };
    if (digestFile !== undefined && (destination ?? source).startsWith("docker-archive:")) {
      throw new InvalidArgumentError("--digestfile: a docker-archive has no manifest, and so no digest");
    }
    const engine = engineFor(global);
    const sources = options["all-tags"] ? await allTags(engine, source, destination ?? digestFile) : [source];
    for (const one of sources) {
      const watch = new PullWatch(options.quiet);
      const { digest } = await watch.during(() =>
        push(engine, one, destination, { ...how, signal: watch.signal, progress: watch.progress })
      );
      if (digestFile !== undefined) await Deno.writeTextFile(digestFile, digest!);
    }
  },
});

/** @see podman-artifact-push(1) */

import { artifactPush } from "../../runtime/engine/artifact_pull.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { SIGNING_FLAGS, signingFrom } from "../flags/push.ts";
import { REGISTRY_FLAGS, registryFrom } from "../flags/registry_login.ts";
import { retriesFrom, RETRY_FLAGS } from "../flags/retry.ts";
import { PullWatch } from "../terminal/pull_watch.ts";

export const command = defineCommand({
  usage: "[options] ARTIFACT [DESTINATION]",
  description: "DESTINATION is a name at a registry (the default is ARTIFACT).",
  examples: ["skiff artifact push registry.example.com/team/model:1"],
  flags: {
    ...REGISTRY_FLAGS,
    ...RETRY_FLAGS,
    digestfile: { kind: "string", value: "FILE", help: "Write the digest of the pushed artifact to FILE" },
    ...SIGNING_FLAGS,
    quiet: { kind: "bool", short: "q", help: "Show no progress" },
  },
  arity: { min: 1, max: 2 },
  async run({ options, given, args, global }) {
    const sign = await signingFrom(options);
    const how = { ...await registryFrom(options, given), ...retriesFrom(options), sign };
    const watch = new PullWatch(options.quiet);
    const { signal, progress } = watch;
    const [name = "", destination] = args;
    const digest = await watch.during(() =>
      artifactPush(engineFor(global), name, destination, { ...how, signal, progress })
    );
    if (options.digestfile) await Deno.writeTextFile(options.digestfile, digest);
  },
});

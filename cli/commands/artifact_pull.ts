/** @see podman-artifact-pull(1) */

import { artifactPull } from "../../runtime/engine/artifact_pull.ts";
import { digestHex } from "../../runtime/spec/digest.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { DECRYPTION_FLAGS } from "../flags/encryption.ts";
import { REGISTRY_FLAGS, registryFrom } from "../flags/registry_login.ts";
import { retriesFrom, RETRY_FLAGS } from "../flags/retry.ts";
import { print } from "../output/print.ts";
import { PullWatch } from "../terminal/pull_watch.ts";

export const command = defineCommand({
  usage: "[options] ARTIFACT",
  description: "Prints the digest of the artifact.",
  examples: ["skiff artifact pull registry.example.com/team/model:1"],
  flags: {
    ...REGISTRY_FLAGS,
    ...DECRYPTION_FLAGS,
    ...RETRY_FLAGS,
    quiet: { kind: "bool", short: "q", help: "Show no progress" },
  },
  arity: { min: 1, max: 1 },
  async run({ options, given, args, global }) {
    const decryptionKeys = options["decryption-key"];
    const how = { ...await registryFrom(options, given), ...retriesFrom(options), decryptionKeys };
    const watch = new PullWatch(options.quiet);
    const { signal, progress } = watch;
    const digest = await watch.during(() =>
      artifactPull(engineFor(global), args[0]!.replace(/^docker:\/\//, ""), { ...how, signal, progress })
    );
    print(`${digestHex(digest)}\n`);
  },
});
